// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

func newCatalogue(t testing.TB) *release.Catalogue {
	t.Helper()
	catalogue, err := release.NewCatalogue(release.Options{TempDir: t.TempDir()})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(catalogue.Close)
	return catalogue
}

// What decides about the objects of the shoot's users stays known when only the protection of Flux's own changes.
func TestInstallationsKeepTheirDefinitions(t *testing.T) {
	g := NewWithT(t)
	catalogue := newCatalogue(t)
	flux, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	rendered, err := (&renderedReleases{}).of(flux, render.Images{}, variant{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(len(rendered.definitions)).To(BeNumerically(">", 5))
	for _, definition := range rendered.definitions {
		g.Expect(definition.Spec.Group).To(HaveSuffix(".toolkit.fluxcd.io"))
		g.Expect(definition.Spec.Names.Kind).NotTo(BeEmpty())
		g.Expect(definition.Spec.Versions).NotTo(BeEmpty())
	}
	free, err := rendered.unprotected()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(free.definitions).To(Equal(rendered.definitions))
	again, err := free.protected()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again.definitions).To(Equal(rendered.definitions))
	g.Expect(again.notable).To(Equal(rendered.notable))
}

func TestInstallationsAreRenderedOnce(t *testing.T) {
	g := NewWithT(t)
	catalogue := newCatalogue(t)
	flux, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())

	var rendered renderedReleases
	first, err := rendered.of(flux, render.Images{}, variant{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(rendered.of(flux, render.Images{}, variant{})).To(BeIdenticalTo(first))
	mirrored, err := rendered.of(flux, render.Images{Registry: "registry.example.org/fluxcd"}, variant{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(mirrored.data).NotTo(Equal(first.data))

	broken := *flux
	broken.Digest, broken.Manifests = "sha256:other", []byte("kind: None")
	_, err = rendered.of(&broken, render.Images{}, variant{})
	g.Expect(err).To(MatchError(HavePrefix("the manifests of Flux " + flux.Version + " (embedded) cannot be used: ")))
}

// BenchmarkShoots tells what 500 shoots on three releases cost, from the choice of the release to what is applied: how often
// releases are rendered, how much stays in memory, and what each further shoot allocates.
func BenchmarkShoots(b *testing.B) {
	const shoots, releases = 500, 3
	repository := &fluxv1alpha1.Repository{URL: "https://git.example.org/fleet/shoots", Branch: "main", Path: "./"}
	reconcile := func(a *Actuator, version string) {
		choice, err := a.Releases.Choose(b.Context(), fluxversion.Request{Version: version, Kubernetes: "1.36.3"})
		if err != nil {
			b.Fatal(err)
		}
		r := &reconciliation{Actuator: a, shoot: &gardencorev1beta1.Shoot{}, desired: desired{FluxConfig: &fluxv1alpha1.FluxConfig{}}}
		if err := r.fetchRelease(b.Context(), choice); err != nil {
			b.Fatal(err)
		}
		configuration, err := r.desired.release.Configuration(render.Wanted{Config: &fluxv1alpha1.FluxConfig{Repository: repository}})
		if err != nil {
			b.Fatal(err)
		}
		if _, err := managedresource.Serialize(configuration.Objects); err != nil {
			b.Fatal(err)
		}
	}

	var a *Actuator
	var versions []string
	for b.Loop() {
		a = &Actuator{Releases: newCatalogue(b), Images: func() (render.Images, error) { return render.Images{}, nil }}
		versions = a.Releases.Embedded()[:releases]
		for i := range shoots {
			reconcile(a, versions[i%releases])
		}
	}
	kept := a.Releases.Stats().KeptBytes
	for _, version := range versions {
		r := &reconciliation{Actuator: a, shoot: &gardencorev1beta1.Shoot{}, desired: desired{FluxConfig: &fluxv1alpha1.FluxConfig{}}}
		if err := r.fetchRelease(b.Context(), &fluxversion.Choice{Version: version}); err != nil {
			b.Fatal(err)
		}
		for _, data := range r.desired.release.data {
			kept += int64(len(data))
		}
	}
	b.ReportMetric(float64(a.Releases.Stats().Renders), "renders")
	b.ReportMetric(float64(a.rendered.known.Len()), "installations")
	b.ReportMetric(float64(kept), "kept-bytes")
	next := 0
	b.ReportMetric(testing.AllocsPerRun(shoots, func() {
		reconcile(a, versions[next%releases])
		next++
	}), "allocs/shoot")
}
