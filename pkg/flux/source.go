// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux

import (
	"cmp"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// defaultTimeout is how long source-controller tries to read a source that says nothing else.
const defaultTimeout = time.Minute

// Source is what a source of any kind says in a shoot.
type Source struct {
	metav1.ObjectMeta
	// Spec is its whole specification, as NewSpec of its kind returns it.
	Spec any

	// URL is the address, and Reference what is read there.
	URL       string
	Reference Reference
	// HasCredentials tells whether a Secret is named.
	HasCredentials bool
	// Verifies tells whether only what has a trusted signature is taken.
	Verifies  bool
	Suspended bool
	// Timeout is how long source-controller tries to read it.
	Timeout time.Duration

	// Artifact is what was read last, or nil.
	Artifact               *fluxmeta.Artifact
	Conditions             []metav1.Condition
	ObservedGeneration     int64
	LastHandledReconcileAt string
}

// fromGitRepository reads the fields of a reference in the order in which source-controller does (gogit/client.go of fluxcd/pkg/git).
func fromGitRepository(repository *sourcev1.GitRepository) *Source {
	spec, status := &repository.Spec, &repository.Status
	reference := Reference{Branch, "master"}
	if ref := spec.Reference; ref != nil {
		reference = firstReference(Reference{Commit, ref.Commit}, Reference{RefName, ref.Name}, Reference{Tag, ref.Tag}, Reference{SemVer, ref.SemVer},
			Reference{Branch, ref.Branch}, reference)
	}
	return &Source{
		ObjectMeta: repository.ObjectMeta, Spec: spec, URL: spec.URL, Reference: reference,
		HasCredentials: spec.SecretRef != nil, Verifies: spec.Verification != nil, Suspended: spec.Suspend, Timeout: timeoutOf(spec.Timeout),
		Artifact: status.Artifact, Conditions: status.Conditions, ObservedGeneration: status.ObservedGeneration, LastHandledReconcileAt: status.LastHandledReconcileAt,
	}
}

// fromOCIRepository does likewise (getArtifactRef in ocirepository_controller.go of source-controller).
func fromOCIRepository(repository *sourcev1.OCIRepository) *Source {
	spec, status := &repository.Spec, &repository.Status
	reference := Reference{Tag, "latest"}
	if ref := spec.Reference; ref != nil {
		reference = firstReference(Reference{Digest, ref.Digest}, Reference{SemVer, ref.SemVer}, Reference{Tag, ref.Tag}, reference)
	}
	return &Source{
		ObjectMeta: repository.ObjectMeta, Spec: spec, URL: spec.URL, Reference: reference,
		HasCredentials: spec.SecretRef != nil, Verifies: spec.Verify != nil, Suspended: spec.Suspend, Timeout: timeoutOf(spec.Timeout),
		Artifact: status.Artifact, Conditions: status.Conditions, ObservedGeneration: status.ObservedGeneration, LastHandledReconcileAt: status.LastHandledReconcileAt,
	}
}

// fromBucket makes an address of the two parts that a bucket has. What is read there is all that it holds.
func fromBucket(bucket *sourcev1.Bucket) *Source {
	spec, status := &bucket.Spec, &bucket.Status
	return &Source{
		ObjectMeta: bucket.ObjectMeta, Spec: spec, URL: strings.TrimSuffix(spec.Endpoint, "/") + "/" + spec.BucketName,
		HasCredentials: spec.SecretRef != nil, Suspended: spec.Suspend, Timeout: timeoutOf(spec.Timeout),
		Artifact: status.Artifact, Conditions: status.Conditions, ObservedGeneration: status.ObservedGeneration, LastHandledReconcileAt: status.LastHandledReconcileAt,
	}
}

func timeoutOf(timeout *metav1.Duration) time.Duration {
	return cmp.Or(timeout, &metav1.Duration{Duration: defaultTimeout}).Duration
}

// readAs makes a function that reads an object of any version of T's kind.
func readAs[T any](from func(*T) *Source) func(content map[string]any) (*Source, error) {
	return func(content map[string]any) (*Source, error) {
		object := new(T)
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, object); err != nil {
			return nil, err
		}
		return from(object), nil
	}
}
