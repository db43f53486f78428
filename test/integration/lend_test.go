// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration_test

import (
	"context"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

const timeout = time.Minute

var servers *integration.Servers

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, func(_ context.Context, started *integration.Servers) (func(), error) {
		servers = started
		return nil, nil
	}))
}

var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(rbacv1.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	return scheme
}()

// TestLend changes, deletes and makes things, and lends the server again.
func TestLend(t *testing.T) {
	g := NewWithT(t)
	server, giveBack, err := servers.Lend(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	c, err := client.New(server.Config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceDefault}}
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
	labels := namespace.Labels
	namespace.Labels = map[string]string{"changed": "true"}
	g.Expect(c.Update(t.Context(), namespace)).To(Succeed())
	// kube-apiserver makes it at its start only.
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "system:discovery"}}
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(role), role)).To(Succeed())
	rules := role.Rules
	g.Expect(rules).NotTo(BeEmpty())
	g.Expect(c.Delete(t.Context(), role)).To(Succeed())
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceDefault, Name: "of-a-test"}}
	g.Expect(c.Create(t.Context(), configMap)).To(Succeed())
	definition, thing := newKind()
	g.Expect(c.Create(t.Context(), definition)).To(Succeed())
	g.Eventually(func() error { return c.Create(t.Context(), thing) }, timeout).Should(Succeed())

	g.Expect(giveBack(t.Context())).To(Succeed())
	again, giveBackAgain, err := servers.Lend(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeIdenticalTo(server), "nobody else has it")
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(namespace), namespace)).To(Succeed())
	g.Expect(namespace.Labels).To(Equal(labels))
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(role), role)).To(Succeed())
	g.Expect(role.Rules).To(Equal(rules))
	for _, gone := range []client.Object{configMap, definition} {
		g.Expect(apierrors.IsNotFound(c.Get(t.Context(), client.ObjectKeyFromObject(gone), gone))).To(BeTrue(), gone.GetName())
	}
	fresh, err := client.New(server.Config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(meta.IsNoMatchError(fresh.Get(t.Context(), client.ObjectKeyFromObject(thing), thing))).To(BeTrue(), "the kind is not served")

	// A kind of the same name has no objects of before.
	definition, thing = newKind()
	g.Expect(c.Create(t.Context(), definition)).To(Succeed())
	g.Eventually(func() error { return c.Create(t.Context(), thing) }, timeout).Should(Succeed())

	other, giveBackOther, err := servers.Lend(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(other).NotTo(BeIdenticalTo(server), "it is in use")
	g.Expect(giveBackOther(t.Context())).To(Succeed())
	g.Expect(giveBackAgain(t.Context())).To(Succeed())
}

func newKind() (*apiextensionsv1.CustomResourceDefinition, *unstructured.Unstructured) {
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "things.example.org"}}
	definition.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.org", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Thing", ListKind: "ThingList", Plural: "things", Singular: "thing"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
		}},
	}
	thing := &unstructured.Unstructured{}
	thing.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Thing"})
	thing.SetNamespace(metav1.NamespaceDefault)
	thing.SetName("one")
	return definition, thing
}

// TestGate shows that who knows a server by a gate does not reach it any more when the gate is closed, not even by a connection that it has.
func TestGate(t *testing.T) {
	g := NewWithT(t)
	server, giveBack, err := servers.Lend(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	address, closeGate, err := server.OpenGate()
	g.Expect(err).NotTo(HaveOccurred())
	config := rest.CopyConfig(server.Config)
	config.Host = address
	c, err := client.New(config, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(c.List(t.Context(), &corev1.NamespaceList{})).To(Succeed())

	closeGate()
	g.Expect(c.List(t.Context(), &corev1.NamespaceList{})).To(MatchError(ContainSubstring("connection refused")))
	g.Expect(server.Client.List(t.Context(), &corev1.NamespaceList{})).To(Succeed())
	g.Expect(giveBack(t.Context())).To(Succeed())
}
