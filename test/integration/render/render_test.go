// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package render_test shows what is rendered to a real API server.
package render_test

import (
	"context"
	"os"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

var shoot *integration.Server

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(ctx context.Context, servers *integration.Servers) (_ func(), err error) {
		shoot, err = servers.Start(ctx, "shoot")
		return nil, err
	}))
}

// TestNormalised applies a release and a configuration, and compares what the API server made of CustomResourceDefinitions
// and custom resources with what was rendered. Objects of other kinds need only be accepted.
func TestNormalised(t *testing.T) {
	g := NewWithT(t)
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	flux, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	installation, err := render.NewInstallation(flux.Manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	configuration, err := installation.Configuration(render.Wanted{
		Config: &fluxv1alpha1.FluxConfig{
			Repository: &fluxv1alpha1.Repository{URL: "ssh://git@git.example.com/fleet/shoots", Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPrivate},
		},
		Credentials: &sourcesecret.Credentials{Kind: sourcesecret.KindSSH, SecretRef: &sourcesecret.ShootSecret{Name: sourcesecret.SecretName, Data: sourcesecret.Data{sourcesecret.KeyIdentity: []byte("not a real key")}}},
	})
	g.Expect(err).NotTo(HaveOccurred())

	for _, object := range installation.Objects {
		expectAccepted(g, t, shoot.Client, object)
	}
	for _, object := range configuration.Objects {
		// until the CustomResourceDefinitions are established
		g.Eventually(func(g Gomega) { expectAccepted(g, t, shoot.Client, object) }, "1m").Should(Succeed())
		g.Expect(shoot.Client.Delete(t.Context(), object.DeepCopyObject().(client.Object))).To(Succeed())
	}
}

func expectAccepted(g Gomega, t *testing.T, c client.Client, rendered client.Object) {
	object := rendered.DeepCopyObject().(client.Object)
	g.Expect(c.Create(t.Context(), object)).To(Succeed(), "%T %s", object, object.GetName())
	switch rendered.GetObjectKind().GroupVersionKind().Kind {
	case "CustomResourceDefinition", "GitRepository", "OCIRepository", "Bucket", "Kustomization":
		g.Expect(withoutServerFields(object)).To(Equal(withoutServerFields(rendered)))
	}
}

// withoutServerFields drops what gardener-resource-manager does not compare: status, and metadata of the API server.
func withoutServerFields(object client.Object) map[string]any {
	content := object.DeepCopyObject().(*unstructured.Unstructured)
	delete(content.Object, "status")
	content.Object["metadata"] = nil
	return content.Object
}
