// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

const testVersion = "v2.9.99"

func TestSelectManifests(t *testing.T) {
	g := NewWithT(t)
	want, all := releasetest.Manifests(t, testVersion, nil), releasetest.Manifests(t, testVersion, releasetest.Everything)
	g.Expect(string(all)).To(And(
		ContainSubstring("name: source-watcher\n"), ContainSubstring("name: imagepolicies.image.toolkit.fluxcd.io\n"),
		ContainSubstring("- --feature-gates=ExternalArtifact=true\n")))
	for name, manifests := range map[string][]byte{
		"the same":                 want,
		"with further components":  all,
		"with empty documents":     []byte("---\n" + strings.ReplaceAll(string(all), "---\n", "---\n# nothing\n---\n")),
		"without a line break":     []byte(strings.TrimSpace(string(all))),
		"without a document start": []byte(strings.TrimPrefix(string(want), "---\n")),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			selected, err := Select(manifests, testVersion, Options{})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(selected)).To(Equal(string(want)))
		})
	}
}

// Releases before v0.33.0 do not say which component an object belongs to.
func TestSelectManifestsWithoutComponents(t *testing.T) {
	g := NewWithT(t)
	withoutLabels := func(manifests []byte) []byte {
		var kept []string
		for line := range strings.Lines(string(manifests)) {
			if !strings.Contains(line, flux.LabelComponent+":") {
				kept = append(kept, line)
			}
		}
		return []byte(strings.Join(kept, ""))
	}
	extra := releasetest.Everything[:2] // source-watcher is newer.

	selected, err := Select(withoutLabels(releasetest.Manifests(t, testVersion, extra)), testVersion, Options{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(selected)).To(Equal(string(withoutLabels(releasetest.Manifests(t, testVersion, nil)))))
}

func TestSelectManifestsRefuses(t *testing.T) {
	release := string(releasetest.Manifests(t, testVersion, nil))
	for name, test := range map[string]struct {
		manifests string
		problem   string
	}{
		"nothing": {"", "its manifests have no CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io, no CustomResourceDefinition " +
			"kustomizations.kustomize.toolkit.fluxcd.io, no Deployment flux-system/helm-controller, no Deployment flux-system/kustomize-controller, " +
			"no Deployment flux-system/notification-controller, no Deployment flux-system/source-controller"},
		"no YAML":           {"{", "its manifests can't be read: "},
		"a page":            {"<!DOCTYPE html>\n<html></html>\n", "its manifests can't be read: "},
		"another release":   {strings.ReplaceAll(release, testVersion, "v2.9.98"), "Namespace flux-system is of Flux v2.9.98"},
		"another namespace": {strings.ReplaceAll(release, "namespace: flux-system", "namespace: flux"), "its manifests have no Deployment flux-system/helm-controller,"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := Select([]byte(test.manifests), testVersion, Options{})
			g.Expect(err).To(MatchError(HavePrefix(test.problem)))
		})
	}
}

// What is selected is what flux install --export prints if it is told the same.
func TestSelectIsWhatFluxInstalls(t *testing.T) {
	all := releasetest.Manifests(t, testVersion, releasetest.Everything)
	for name, options := range map[string]Options{
		"default":                            {},
		"another namespace":                  {Namespace: "gitops"},
		"a namespace with dashes":            {Namespace: "my-flux-system"},
		"only what is needed":                {Components: []string{"source-controller", "kustomize-controller"}},
		"in any order":                       {Components: []string{"kustomize-controller", "source-controller", "notification-controller"}},
		"image controllers":                  {Components: append(flux.DefaultComponents(), "image-reflector-controller", "image-automation-controller")},
		"source-watcher":                     {Components: append(flux.DefaultComponents(), "source-watcher")},
		"source-watcher without helm":        {Components: []string{"source-controller", "kustomize-controller", "source-watcher"}},
		"everything in another namespace":    {Namespace: "gitops", Components: flux.Components()},
		"a part of it, in another namespace": {Namespace: "gitops", Components: []string{"source-controller", "kustomize-controller", "source-watcher"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			selected, err := Select(all, testVersion, options)
			g.Expect(err).NotTo(HaveOccurred())
			complete := options.complete()
			g.Expect(string(selected)).To(Equal(string(releasetest.Export(t, testVersion, complete.Namespace, complete.Components))))
		})
	}
}

func TestSelectNamesWhatIsMissing(t *testing.T) {
	g := NewWithT(t)
	_, err := Select(releasetest.Manifests(t, testVersion, nil), testVersion, Options{Components: []string{"source-controller", "kustomize-controller", "source-watcher"}})
	g.Expect(err).To(MatchError("its manifests have no Deployment flux-system/source-watcher"))
}

func TestIsDefault(t *testing.T) {
	g := NewWithT(t)
	g.Expect(Options{}.IsDefault()).To(BeTrue())
	g.Expect(Options{Namespace: "flux-system", Components: []string{"notification-controller", "helm-controller", "kustomize-controller", "source-controller", "helm-controller"}}.IsDefault()).To(BeTrue())
	g.Expect(Options{Namespace: "gitops"}.IsDefault()).To(BeFalse())
	g.Expect(Options{Components: flux.Components()}.IsDefault()).To(BeFalse())
}

func TestRenderIsDeterministic(t *testing.T) {
	g := NewWithT(t)
	first, err := Render(t.TempDir(), testVersion, releasetest.Files(t))
	g.Expect(err).NotTo(HaveOccurred())
	second, err := Render(t.TempDir(), testVersion, releasetest.Files(t))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bytes.Equal(second, first)).To(BeTrue())
}

func BenchmarkRender(b *testing.B) {
	files, dir := releasetest.Files(b), b.TempDir()
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Render(dir, testVersion, files); err != nil {
			b.Fatal(err)
		}
	}
}
