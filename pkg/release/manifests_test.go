// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// rendered returns a release as flux install --export prints it, with further components.
func rendered(t testing.TB, version string, extra map[string]twin) []byte {
	t.Helper()
	g := NewWithT(t)
	_, files := embeddedRelease(t)
	base := t.TempDir()
	for component, twin := range extra {
		renamed := strings.NewReplacer(twin.of, component, twin.oldName, twin.newName, "helm.toolkit.fluxcd.io", "image.toolkit.fluxcd.io")
		files[component+".yaml"] = []byte(renamed.Replace(string(files[twin.of+".yaml"])))
	}
	for name, content := range files {
		g.Expect(os.WriteFile(filepath.Join(base, name), content, 0o600)).To(Succeed())
	}
	options := install.MakeDefaultOptions()
	options.Version = version
	options.Components = append(options.Components, slices.Sorted(maps.Keys(extra))...)
	manifests, err := generateOnce(options, base)
	g.Expect(err).NotTo(HaveOccurred())
	return manifests
}

// twin tells how to make a component from one that is embedded.
type twin struct{ of, oldName, newName string }

// everything is what Flux's own OCI artifacts have besides what is installed.
var everything = map[string]twin{
	"image-automation-controller": {"helm-controller", "helmreleases.helm.toolkit.fluxcd.io", "imageupdateautomations.image.toolkit.fluxcd.io"},
	"image-reflector-controller":  {"helm-controller", "helmreleases.helm.toolkit.fluxcd.io", "imagepolicies.image.toolkit.fluxcd.io"},
	"source-watcher":              {"source-controller", "source.toolkit.fluxcd.io", "source.extensions.fluxcd.io"},
}

func TestSelectManifests(t *testing.T) {
	g := NewWithT(t)
	want, all := rendered(t, testVersion, nil), rendered(t, testVersion, everything)
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
			selected, err := selectManifests(manifests, testVersion)
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
	extra := maps.Clone(everything)
	delete(extra, "source-watcher") // It is newer.

	selected, err := selectManifests(withoutLabels(rendered(t, testVersion, extra)), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(selected)).To(Equal(string(withoutLabels(rendered(t, testVersion, nil)))))
}

func TestSelectManifestsRefuses(t *testing.T) {
	release := string(rendered(t, testVersion, nil))
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
			_, err := selectManifests([]byte(test.manifests), testVersion)
			g.Expect(err).To(MatchError(HavePrefix(test.problem)))
		})
	}
}
