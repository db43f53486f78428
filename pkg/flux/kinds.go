// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// ObjectKind is a kind of object that the extension makes in a shoot, and that Flux works on.
type ObjectKind struct {
	schema.GroupKind
	// Plural is the kind's name in URLs.
	Plural string
	// Command is what the program flux calls the kind: `flux suspend <command> <name>`.
	Command string
	// DecidingFields are fields of the specification that the extension never sets, and that decide on what is deployed, and where.
	DecidingFields []string
	// NewSpec returns a pointer to an empty specification, in the newest version.
	NewSpec func() any
}

// Versions returns the API versions that kinds of this package have had, the newest first. Each release serves the newest that it knows.
func Versions() []string {
	return []string{"v1", "v1beta2", "v1beta1"}
}

// Definition is the name of the kind's CustomResourceDefinition, by which kubectl knows the kind too.
func (k ObjectKind) Definition() string {
	return k.Plural + "." + k.Group
}

// Singular is the kind's short name for kubectl.
func (k ObjectKind) Singular() string {
	return strings.ToLower(k.Kind)
}

// InventoryID is what an object of the kind is called in the inventory of a Kustomization (fluxcd/pkg/ssa: namespace_name_group_kind).
func (k ObjectKind) InventoryID(namespace, name string) string {
	return strings.Join([]string{namespace, name, k.Group, k.Kind}, "_")
}

// Kustomization says what of a source is applied to the shoot.
var Kustomization = ObjectKind{
	GroupKind:      kustomizev1.GroupVersion.WithKind(kustomizev1.KustomizationKind).GroupKind(),
	Plural:         "kustomizations",
	Command:        "kustomization",
	DecidingFields: []string{"components", "images", "kubeConfig", "namePrefix", "nameSuffix", "patches", "postBuild", "targetNamespace"},
	NewSpec:        func() any { return &kustomizev1.KustomizationSpec{} },
}

// SourceKind is a kind of source that a Kustomization can follow.
type SourceKind struct {
	ObjectKind
	// Server and Content are what sentences call what serves such a source, and what it has there.
	Server, Content string
	// HarmlessFields are fields of the specification in place of which others can be put without another content being deployed.
	HarmlessFields []string

	read func(content map[string]any) (*Source, error)
}

// GitRepository is a branch, tag or commit of a Git repository.
var GitRepository = SourceKind{
	ObjectKind: ObjectKind{
		GroupKind:      sourcev1.GroupVersion.WithKind(sourcev1.GitRepositoryKind).GroupKind(),
		Plural:         "gitrepositories",
		Command:        "source git",
		DecidingFields: []string{"ignore", "include", "sparseCheckout"},
		NewSpec:        func() any { return &sourcev1.GitRepositorySpec{} },
	},
	Server:         "Git server",
	Content:        "repository",
	HarmlessFields: []string{"gitImplementation", "interval", "secretRef", "timeout"},
	read:           readAs(fromGitRepository),
}

// OCIRepository is a tag or digest of a repository of an OCI registry.
var OCIRepository = SourceKind{
	ObjectKind: ObjectKind{
		GroupKind:      sourcev1.GroupVersion.WithKind(sourcev1.OCIRepositoryKind).GroupKind(),
		Plural:         "ocirepositories",
		Command:        "source oci",
		DecidingFields: []string{"ignore", "layerSelector"},
		NewSpec:        func() any { return &sourcev1.OCIRepositorySpec{} },
	},
	Server:         "registry",
	Content:        "repository",
	HarmlessFields: []string{"certSecretRef", "interval", "secretRef", "timeout"},
	read:           readAs(fromOCIRepository),
}

// Bucket is a bucket of an object storage.
var Bucket = SourceKind{
	ObjectKind: ObjectKind{
		GroupKind:      sourcev1.GroupVersion.WithKind(sourcev1.BucketKind).GroupKind(),
		Plural:         "buckets",
		Command:        "source bucket",
		DecidingFields: []string{"ignore", "prefix"},
		NewSpec:        func() any { return &sourcev1.BucketSpec{} },
	},
	Server:         "object storage",
	Content:        "bucket",
	HarmlessFields: []string{"certSecretRef", "interval", "secretRef", "timeout"},
	read:           readAs(fromBucket),
}

// SourceKinds returns the kinds of sources that the extension knows.
func SourceKinds() []SourceKind {
	return []SourceKind{GitRepository, OCIRepository, Bucket}
}

// SourceKindOf returns the kind of source with this group and kind.
func SourceKindOf(kind schema.GroupKind) (SourceKind, bool) {
	for _, known := range SourceKinds() {
		if known.GroupKind == kind {
			return known, true
		}
	}
	return SourceKind{}, false
}

// SourceKindNamed returns the kind of source of this name. Without one, it is a GitRepository.
func SourceKindNamed(name string) SourceKind {
	for _, known := range SourceKinds() {
		if known.Kind == name {
			return known
		}
	}
	return GitRepository
}

// Kinds returns the kinds by which Flux follows something: first the one that deploys, then its sources.
func Kinds() []ObjectKind {
	kinds := []ObjectKind{Kustomization}
	for _, source := range SourceKinds() {
		kinds = append(kinds, source.ObjectKind)
	}
	return kinds
}

// KindOf returns the one of Kinds with this group and kind.
func KindOf(kind schema.GroupKind) (ObjectKind, bool) {
	for _, known := range Kinds() {
		if known.GroupKind == kind {
			return known, true
		}
	}
	return ObjectKind{}, false
}

// Read returns what a source says. What the API versions of a kind have in common is enough. The error says that it has another form.
func (k SourceKind) Read(source *unstructured.Unstructured) (*Source, error) {
	return k.read(source.Object)
}
