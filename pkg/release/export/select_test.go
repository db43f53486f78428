// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"bytes"
	"maps"
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
			selected, err := Select(manifests, testVersion)
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
	extra := maps.Clone(releasetest.Everything)
	delete(extra, "source-watcher") // It is newer.

	selected, err := Select(withoutLabels(releasetest.Manifests(t, testVersion, extra)), testVersion)
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
			_, err := Select([]byte(test.manifests), testVersion)
			g.Expect(err).To(MatchError(HavePrefix(test.problem)))
		})
	}
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
