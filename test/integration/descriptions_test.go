// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

// TestWithoutDescriptions writes a definition that has descriptions, and a field with this name.
func TestWithoutDescriptions(t *testing.T) {
	g := NewWithT(t)
	server, giveBack, err := servers.Lend(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { g.Expect(giveBack(t.Context())).To(Succeed()) }()
	scheme := runtime.NewScheme()
	g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
	c, err := client.New(integration.WithoutDescriptions(server.Config), client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())

	text := apiextensionsv1.JSONSchemaProps{Type: "string", Description: "A text.", MaxLength: new(int64(7))}
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "things.example.org"}}
	definition.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.org", Scope: apiextensionsv1.ClusterScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Thing", Plural: "things"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{Name: "v1", Served: true, Storage: true, Schema: &apiextensionsv1.CustomResourceValidation{
			OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", Description: "A thing.", Properties: map[string]apiextensionsv1.JSONSchemaProps{"description": text}},
		}}},
	}
	g.Expect(c.Create(t.Context(), definition)).To(Succeed())
	text.Description = ""
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(definition), definition)).To(Succeed())
	g.Expect(definition.Spec.Versions[0].Schema.OpenAPIV3Schema).To(Equal(&apiextensionsv1.JSONSchemaProps{
		Type: "object", Properties: map[string]apiextensionsv1.JSONSchemaProps{"description": text},
	}))
}
