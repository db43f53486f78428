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
		"least":   {map[string]any{"url": "ssh://git@h/x"}, "", time.Minute, false},
		"old one": {map[string]any{"url": "ssh://git@h/x", "gitImplementation": "go-git"}, "", time.Minute, false},
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
			g.Expect(source.Branch).To(Equal(test.branch))
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

func TestIsController(t *testing.T) {
	g := NewWithT(t)
	g.Expect(flux.IsController("source-controller", nil)).To(BeTrue())
	g.Expect(flux.IsController("source-controller-shard1", nil)).To(BeTrue())
	g.Expect(flux.IsController("any", map[string]string{flux.LabelComponent: "helm-controller"})).To(BeTrue())
	g.Expect(flux.IsController("source-controllers", nil)).To(BeFalse())
	g.Expect(flux.IsController("web", map[string]string{flux.LabelComponent: "web"})).To(BeFalse())
}
