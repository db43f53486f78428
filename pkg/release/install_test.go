// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

// The embedded releases have all components, so that none needs a release server.
func TestEmbeddedReleasesHaveAllComponents(t *testing.T) {
	g := NewWithT(t)
	catalogue, err := NewCatalogue(Options{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, version := range catalogue.Embedded() {
		found, err := catalogue.Get(t.Context(), version)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(found.Components()).To(Equal(flux.Components()))
	}
	newest := catalogue.Embedded()[0]
	found, err := catalogue.Get(t.Context(), newest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(found.Install(export.Options{Namespace: "gitops", Components: flux.Components()})).To(Equal(releasetest.Export(t, newest, "gitops", flux.Components())))
}

// What is installed by default does not depend on what else the release has.
func TestInstall(t *testing.T) {
	g := NewWithT(t)
	all, err := newRelease("v9.9.9", "oci", "", releasetest.Manifests(t, "v9.9.9", releasetest.Everything))
	g.Expect(err).NotTo(HaveOccurred())
	few, err := newRelease("v9.9.9", "oci", "", releasetest.Manifests(t, "v9.9.9", nil))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(all.Digest).To(Equal(few.Digest))
	g.Expect(all.Install(export.Options{})).To(Equal(few.Manifests))
	g.Expect(all.size()-few.size()).To(BeNumerically("<", len(few.Manifests)/4), "what hardly anybody asks for is compressed")

	watcher := export.Options{Components: append(flux.DefaultComponents(), flux.SourceWatcher)}
	g.Expect(all.Install(watcher)).To(Equal(releasetest.Export(t, "v9.9.9", flux.Namespace, watcher.Components)))
	_, err = few.Install(watcher)
	g.Expect(err).To(MatchError("Flux v9.9.9 (oci) has no component source-watcher, but source-controller, kustomize-controller, helm-controller, notification-controller"))
	g.Expect(few.Install(export.Options{Namespace: "gitops"})).To(Equal(releasetest.Export(t, "v9.9.9", "gitops", flux.DefaultComponents())))
}
