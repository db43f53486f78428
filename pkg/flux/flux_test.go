// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// What the kinds are called fits to the CustomResourceDefinitions that Flux has.
func TestKinds(t *testing.T) {
	g := NewWithT(t)
	g.Expect(flux.Kinds()[0]).To(HaveField("Kind", "Kustomization"), "what deploys goes first in a removal")
	for _, kind := range flux.Kinds() {
		g.Expect(flux.Definitions()).To(ContainElement(kind.Definition()))
		g.Expect(kind.Command).NotTo(BeEmpty())
		g.Expect(kind.NewSpec()).NotTo(BeNil())
		found, ok := flux.KindOf(kind.GroupKind)
		g.Expect(ok).To(BeTrue())
		g.Expect(found.Plural).To(Equal(kind.Plural))
	}
	for _, kind := range flux.SourceKinds() {
		found, ok := flux.SourceKindOf(kind.GroupKind)
		g.Expect(ok).To(BeTrue())
		g.Expect(found.Plural).To(Equal(kind.Plural))
	}
	_, ok := flux.SourceKindOf(flux.Kustomization.GroupKind)
	g.Expect(ok).To(BeFalse())
	_, ok = flux.KindOf(schema.GroupKind{Group: "source.toolkit.fluxcd.io", Kind: "HelmChart"})
	g.Expect(ok).To(BeFalse())
}

// What a source says is read from any version of its kind, the fields that only an old one has included.
func TestRead(t *testing.T) {
	for name, test := range map[string]struct {
		spec    map[string]any
		branch  string
		timeout time.Duration
		secret  bool
	}{
		"all":     {map[string]any{"url": "ssh://git@h/x", "ref": map[string]any{"branch": "main"}, "timeout": "20s", "secretRef": map[string]any{"name": "s"}, "suspend": true}, "main", 20 * time.Second, true},
		"least":   {map[string]any{"url": "ssh://git@h/x"}, "master", time.Minute, false},
		"old one": {map[string]any{"url": "ssh://git@h/x", "gitImplementation": "go-git"}, "master", time.Minute, false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			source, err := flux.GitRepository.Read(&unstructured.Unstructured{Object: map[string]any{
				"metadata": map[string]any{"name": "flux-system", "generation": int64(3)},
				"spec":     test.spec,
				"status":   map[string]any{"artifact": map[string]any{"revision": "main@sha1:1"}, "observedGeneration": int64(2), "lastHandledReconcileAt": "now"},
			}})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(source.URL).To(Equal("ssh://git@h/x"))
			g.Expect(source.Reference).To(Equal(flux.Reference{Kind: flux.Branch, Value: test.branch}))
			g.Expect(source.Timeout).To(Equal(test.timeout))
			g.Expect(source.HasCredentials).To(Equal(test.secret))
			g.Expect(source.Suspended).To(Equal(name == "all"))
			g.Expect(source.Generation).To(BeEquivalentTo(3))
			g.Expect(source.ObservedGeneration).To(BeEquivalentTo(2))
			g.Expect(source.LastHandledReconcileAt).To(Equal("now"))
			g.Expect(source.Artifact.Revision).To(Equal("main@sha1:1"))
		})
	}
	_, err := flux.GitRepository.Read(&unstructured.Unstructured{Object: map[string]any{"spec": "nothing"}})
	NewWithT(t).Expect(err).To(HaveOccurred())
}

// What is followed is said as source-controller takes it: of several references, one counts.
func TestReferences(t *testing.T) {
	for name, test := range map[string]struct {
		kind  flux.SourceKind
		spec  map[string]any
		url   string
		words string
	}{
		"branch":          {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"branch": "main"}}, "https://h/x", `branch "main"`},
		"tag":             {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"branch": "main", "tag": "v1"}}, "https://h/x", `tag "v1"`},
		"range":           {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"semver": ">=1.0"}}, "https://h/x", `tag in the range ">=1.0"`},
		"tag and range":   {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"semver": ">=1.0", "tag": "v1"}}, "https://h/x", `tag "v1"`},
		"name":            {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"name": "refs/pull/1/head", "tag": "v1"}}, "https://h/x", `reference "refs/pull/1/head"`},
		"commit":          {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{"commit": "5f0c", "branch": "main"}}, "https://h/x", `commit "5f0c"`},
		"nothing, Git":    {flux.GitRepository, map[string]any{"url": "https://h/x", "ref": map[string]any{}}, "https://h/x", `branch "master"`},
		"tag, OCI":        {flux.OCIRepository, map[string]any{"url": "oci://h/x", "ref": map[string]any{"tag": "1.0"}}, "oci://h/x", `tag "1.0"`},
		"range, OCI":      {flux.OCIRepository, map[string]any{"url": "oci://h/x", "ref": map[string]any{"tag": "1.0", "semver": "1.x"}}, "oci://h/x", `tag in the range "1.x"`},
		"digest, OCI":     {flux.OCIRepository, map[string]any{"url": "oci://h/x", "ref": map[string]any{"digest": "sha256:1", "semver": "1.x"}}, "oci://h/x", `artifact with digest "sha256:1"`},
		"nothing, OCI":    {flux.OCIRepository, map[string]any{"url": "oci://h/x"}, "oci://h/x", `tag "latest"`},
		"bucket":          {flux.Bucket, map[string]any{"endpoint": "minio.example.org", "bucketName": "fleet"}, "minio.example.org/fleet", ""},
		"bucket, slashes": {flux.Bucket, map[string]any{"endpoint": "https://a.blob.core.windows.net/", "bucketName": "fleet"}, "https://a.blob.core.windows.net/fleet", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			source, err := test.kind.Read(&unstructured.Unstructured{Object: map[string]any{"spec": test.spec, "status": map[string]any{"observedGeneration": int64(2)}}})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(source.URL).To(Equal(test.url))
			g.Expect(source.Reference.String()).To(Equal(test.words))
			g.Expect(source.Timeout).To(Equal(time.Minute))
			g.Expect(source.ObservedGeneration).To(BeEquivalentTo(2))
		})
	}
}

func TestIsController(t *testing.T) {
	g := NewWithT(t)
	g.Expect(flux.IsController("source-controller", nil)).To(BeTrue())
	g.Expect(flux.IsController("source-controller-shard1", nil)).To(BeTrue())
	g.Expect(flux.IsController("any", map[string]string{flux.LabelComponent: "helm-controller"})).To(BeTrue())
	g.Expect(flux.IsController("source-controllers", nil)).To(BeFalse())
	g.Expect(flux.IsController("web", map[string]string{flux.LabelComponent: "web"})).To(BeFalse())
}
