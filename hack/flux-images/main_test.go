// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
)

func TestRun(t *testing.T) {
	server := httptest.NewServer(fluxreleases.Handler())
	t.Cleanup(server.Close)

	for name, test := range map[string]struct {
		asked request
		want  string
	}{
		"downloaded": {
			request{version: "v2.6.4"},
			"ghcr.io/fluxcd/helm-controller:v1.3.0\nghcr.io/fluxcd/kustomize-controller:v1.6.1\n" +
				"ghcr.io/fluxcd/notification-controller:v1.6.0\nghcr.io/fluxcd/source-controller:v1.6.2\n",
		},
		"mirror": {
			request{version: "v2.6.4", registry: "registry.example.org:5000/flux"},
			"registry.example.org:5000/flux/helm-controller:v1.3.0\nregistry.example.org:5000/flux/kustomize-controller:v1.6.1\n" +
				"registry.example.org:5000/flux/notification-controller:v1.6.0\nregistry.example.org:5000/flux/source-controller:v1.6.2\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var output, warnings bytes.Buffer
			test.asked.releasesURL = server.URL
			g.Expect(run(t.Context(), test.asked, &output, &warnings)).To(Succeed())
			g.Expect(output.String()).To(Equal(test.want))
			g.Expect(warnings.String()).To(BeEmpty())
		})
	}

	t.Run("not a registry", func(t *testing.T) {
		g := NewWithT(t)
		var output bytes.Buffer
		err := run(t.Context(), request{version: "v2.8.0", registry: "https://registry.example.org/", releasesURL: server.URL}, &output, &output)
		g.Expect(err).To(MatchError(ContainSubstring("without scheme, tag and trailing slash")))
		g.Expect(output.String()).To(BeEmpty())
	})

	t.Run("unknown", func(t *testing.T) {
		g := NewWithT(t)
		var output bytes.Buffer
		err := run(t.Context(), request{version: "v2.6.99", releasesURL: server.URL}, &output, &output)
		g.Expect(err).To(MatchError(fluxversion.ErrVersionNotFound))
		g.Expect(output.String()).To(BeEmpty())
	})
}

// TestDefaultNeedsNoNetwork asks a server that is gone.
func TestDefaultNeedsNoNetwork(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(nil)
	server.Close()
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())

	var byDefault, named, latest, warnings bytes.Buffer
	g.Expect(run(t.Context(), request{releasesURL: server.URL}, &byDefault, &warnings)).To(Succeed())
	g.Expect(run(t.Context(), request{version: catalogue.Embedded()[0], releasesURL: server.URL}, &named, &warnings)).To(Succeed())
	g.Expect(byDefault.String()).To(And(Equal(named.String()), MatchRegexp(`^ghcr\.io/fluxcd/helm-controller:v1\.\d+\.\d+\n`)))
	g.Expect(warnings.String()).To(BeEmpty())

	var all bytes.Buffer
	g.Expect(run(t.Context(), request{all: true, releasesURL: server.URL}, &all, &warnings)).To(Succeed())
	g.Expect(strings.Split(all.String(), "\n")).To(ContainElements(
		HavePrefix("ghcr.io/fluxcd/source-controller:"), HavePrefix("ghcr.io/fluxcd/image-automation-controller:"), HavePrefix("ghcr.io/fluxcd/image-reflector-controller:"), HavePrefix("ghcr.io/fluxcd/source-watcher:")))

	g.Expect(run(t.Context(), request{version: "latest", releasesURL: server.URL}, &latest, &warnings)).To(Succeed())
	g.Expect(latest.String()).To(Equal(named.String()))
	g.Expect(warnings.String()).To(ContainSubstring("Not all releases of Flux could be looked up"), "not on standard output")
}

func TestImagesOf(t *testing.T) {
	g := NewWithT(t)
	deployment := func(name string, spec any) client.Object {
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"namespace": "x", "name": name}, "spec": spec,
		}}
	}
	pod := func(fields map[string]any) any { return map[string]any{"template": map[string]any{"spec": fields}} }
	image := func(name string) any { return map[string]any{"image": name} }
	images, err := imagesOf([]client.Object{
		&corev1.Namespace{},
		deployment("b", pod(map[string]any{"initContainers": []any{image("c")}, "containers": []any{image("b"), image("a")}})),
		deployment("a", pod(map[string]any{"containers": []any{image("b")}})),
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(images).To(Equal([]string{"a", "b", "c"}))

	_, err = imagesOf([]client.Object{deployment("a", "none")})
	g.Expect(err).To(MatchError(HavePrefix("Deployment x/a: ")))
}
