// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxreleases

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
)

// served is what a definition says about its versions.
type served struct {
	stored string
	served []string
}

// expectation is what is known about a release from Flux's own documentation: https://fluxcd.io/flux/releases/ and the
// changelogs of the controllers.
type expectation struct {
	gitRepository, kustomization, ociRepository served
	// images are those of the source-, kustomize-, helm- and notification-controller.
	images []string
}

var expectations = map[string]expectation{
	"v0.24.1": {
		gitRepository: served{"v1beta1", []string{"v1beta1"}},
		kustomization: served{"v1beta2", []string{"v1beta1", "v1beta2"}},
		images:        []string{"source-controller:v0.19.2", "kustomize-controller:v0.18.2", "helm-controller:v0.14.1", "notification-controller:v0.19.0"},
	},
	"v0.31.5": {
		gitRepository: served{"v1beta2", []string{"v1beta1", "v1beta2"}},
		kustomization: served{"v1beta2", []string{"v1beta1", "v1beta2"}},
		images:        []string{"source-controller:v0.25.11", "kustomize-controller:v0.26.3", "helm-controller:v0.22.2", "notification-controller:v0.24.1"},
	},
	"v0.41.2": {
		gitRepository: served{"v1beta2", []string{"v1beta1", "v1beta2"}},
		kustomization: served{"v1beta2", []string{"v1beta1", "v1beta2"}},
		ociRepository: served{"v1beta2", []string{"v1beta2"}},
		images:        []string{"source-controller:v0.36.1", "kustomize-controller:v0.35.1", "helm-controller:v0.31.2", "notification-controller:v0.33.0"},
	},
	"v2.2.3": {
		gitRepository: served{"v1", []string{"v1", "v1beta1", "v1beta2"}},
		kustomization: served{"v1", []string{"v1", "v1beta1", "v1beta2"}},
		ociRepository: served{"v1beta2", []string{"v1beta2"}},
		images:        []string{"source-controller:v1.2.4", "kustomize-controller:v1.2.2", "helm-controller:v0.37.4", "notification-controller:v1.2.4"},
	},
	"v2.6.4": {
		gitRepository: served{"v1", []string{"v1", "v1beta1", "v1beta2"}},
		kustomization: served{"v1", []string{"v1", "v1beta1", "v1beta2"}},
		ociRepository: served{"v1", []string{"v1", "v1beta2"}},
		images:        []string{"source-controller:v1.6.2", "kustomize-controller:v1.6.1", "helm-controller:v1.3.0", "notification-controller:v1.6.0"},
	},
	"v2.7.5": {
		gitRepository: served{"v1", []string{"v1", "v1beta2"}},
		kustomization: served{"v1", []string{"v1", "v1beta2"}},
		ociRepository: served{"v1", []string{"v1", "v1beta2"}},
		images:        []string{"source-controller:v1.7.4", "kustomize-controller:v1.7.3", "helm-controller:v1.4.5", "notification-controller:v1.7.5"},
	},
	"v2.8.0": {
		gitRepository: served{"v1", []string{"v1"}},
		kustomization: served{"v1", []string{"v1"}},
		ociRepository: served{"v1", []string{"v1"}},
		images:        []string{"source-controller:v1.8.0", "kustomize-controller:v1.8.0", "helm-controller:v1.5.0", "notification-controller:v1.8.0"},
	},
}

// TestReleases takes each release as the extension does, from a server with the layout of Flux's releases.
func TestReleases(t *testing.T) {
	NewWithT(t).Expect(Versions()).To(Equal([]string{"v0.24.1", "v0.31.5", "v0.41.2", "v2.2.3", "v2.6.4", "v2.7.5", "v2.8.0"}))
	server := httptest.NewServer(http.StripPrefix("/fluxcd/flux2/releases", Handler()))
	t.Cleanup(server.Close)
	catalogue, err := release.NewCatalogue(release.Options{BaseURL: server.URL + "/fluxcd/flux2/releases", TempDir: t.TempDir(), WaitLimit: time.Minute})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())

	for _, version := range Versions() {
		t.Run(version, func(t *testing.T) {
			g := NewWithT(t)
			flux, err := catalogue.Get(t.Context(), version)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(flux.Origin).To(Equal("downloaded"))
			g.Expect(describe(t, flux.Manifests)).To(Equal(expectations[version]))
		})
	}

	t.Run("latest", func(t *testing.T) {
		g := NewWithT(t)
		choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v2.8.0"}))
	})
	t.Run("unknown", func(t *testing.T) {
		_, err := catalogue.Get(t.Context(), "v2.6.99")
		NewWithT(t).Expect(err).To(MatchError(fluxversion.ErrVersionNotFound))
	})
}

// describe reads from manifests what an expectation is about.
func describe(t *testing.T, manifests []byte) expectation {
	t.Helper()
	var found expectation
	definitions := map[string]*served{
		"gitrepositories.source.toolkit.fluxcd.io":   &found.gitRepository,
		"kustomizations.kustomize.toolkit.fluxcd.io": &found.kustomization,
		"ocirepositories.source.toolkit.fluxcd.io":   &found.ociRepository,
	}
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return found
		}
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		switch object.GetKind() {
		case "CustomResourceDefinition":
			if versions, ok := definitions[object.GetName()]; ok {
				*versions = versionsOf(t, object)
			}
		case "Deployment":
			var deployment appsv1.Deployment
			convert(t, object, &deployment)
			image := deployment.Spec.Template.Spec.Containers[0].Image
			NewWithT(t).Expect(image).To(HavePrefix("ghcr.io/fluxcd/"))
			found.images = append(found.images, image[len("ghcr.io/fluxcd/"):])
		}
	}
}

func versionsOf(t *testing.T, object *unstructured.Unstructured) served {
	t.Helper()
	var definition apiextensionsv1.CustomResourceDefinition
	convert(t, object, &definition)
	var found served
	for _, version := range definition.Spec.Versions {
		if version.Served {
			found.served = append(found.served, version.Name)
		}
		if version.Storage {
			found.stored = version.Name
		}
		NewWithT(t).Expect(version.Schema.OpenAPIV3Schema.Properties).To(HaveKey("spec"), "%s %s has no schema", object.GetName(), version.Name)
	}
	return found
}

func convert(t *testing.T, object *unstructured.Unstructured, target any) {
	t.Helper()
	NewWithT(t).Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, target)).To(Succeed())
}

func TestFiles(t *testing.T) {
	g := NewWithT(t)
	for _, version := range Versions() {
		files, err := Files(version)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(files).To(And(HaveLen(6), HaveKey("source-controller.yaml"), HaveKey("kustomize-controller.yaml"), HaveKey("helm-controller.yaml"),
			HaveKey("notification-controller.yaml"), HaveKey("rbac.yaml"), HaveKey("policies.yaml")), version)
	}

	changed, err := Files("v2.6.4")
	g.Expect(err).NotTo(HaveOccurred())
	delete(changed, "rbac.yaml")
	g.Expect(Files("v2.6.4")).To(HaveKey("rbac.yaml"), "callers get a map of their own")

	_, err = Files("v2.6.3")
	g.Expect(err).To(MatchError(`no manifests of Flux release "v2.6.3": there are v0.24.1, v0.31.5, v0.41.2, v2.2.3, v2.6.4, v2.7.5, v2.8.0`))
}

func TestTarballIsReproducible(t *testing.T) {
	g := NewWithT(t)
	tarball, err := Tarball("v2.6.4")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(Tarball("v2.6.4")).To(Equal(tarball))
	_, err = Tarball("v2.6.3")
	g.Expect(err).To(MatchError(HavePrefix(`no manifests of Flux release "v2.6.3"`)))
}

func TestHandlerHasNothingElse(t *testing.T) {
	for target, code := range map[string]int{
		"/latest":                                     http.StatusFound,
		"/download/v2.6.4/manifests.tar.gz":           http.StatusOK,
		"/download/v2.6.4/flux_2.6.4_checksums.txt":   http.StatusOK,
		"/download/v2.6.4/flux_2.7.5_checksums.txt":   http.StatusNotFound,
		"/download/v2.6.4/install.yaml":               http.StatusNotFound,
		"/download/v2.6.99/manifests.tar.gz":          http.StatusNotFound,
		"/download/v2.6.99/flux_2.6.99_checksums.txt": http.StatusNotFound,
		"/": http.StatusNotFound,
	} {
		t.Run(target, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			Handler().ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, target, nil))
			NewWithT(t).Expect(recorder.Code).To(Equal(code))
		})
	}
}
