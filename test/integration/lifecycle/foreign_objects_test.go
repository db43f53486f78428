// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// labelsOfFlux are those of an installation, which users can put on what they like.
var labelsOfFlux = map[string]string{"app.kubernetes.io/part-of": "flux", "app.kubernetes.io/instance": "flux-system"}

// helmRelease is where Helm keeps what it knows about a release. The controller writes it for a HelmRelease in flux-system.
func helmRelease() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "sh.helm.release.v1.podinfo.v1", Labels: map[string]string{"owner": "helm", "name": "podinfo"}},
		Type:       "helm.sh/release.v1",
		Data:       map[string][]byte{"release": []byte("H4sIAAAA")},
	}
}

// TestSwitchedOffKeepsWhatIsNotOurs switches the extension off in a shoot whose users keep things in the namespace of Flux, and have
// things with the labels of Flux.
func TestSwitchedOffKeepsWhatIsNotOurs(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	l.work(t, withPolicy("keep-workloads"))
	foreign := []client.Object{
		helmRelease(),
		&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "cluster-vars", Labels: labelsOfFlux}, Data: map[string]string{"region": "eu"}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: "team-flux-system", Labels: labelsOfFlux}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "team-flux-system", Labels: labelsOfFlux}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "team-flux-system"}},
	}
	for _, object := range foreign {
		l.Expect(l.client.Create(l.ctx, object)).To(Succeed())
	}
	database := l.borrow()
	foreign = append(foreign, database)

	l.switchOff()
	l.expectSwitchedOff()
	l.expectNothingInSeed()
	for _, object := range foreign {
		l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
	}
	l.Expect(database.GetFinalizers()).To(ConsistOf("finalizers.fluxcd.io"))
	l.Expect(l.exists(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}})).To(BeTrue())
	l.expectOnlyForeign()
	l.expectEvent("NamespaceKept", "Flux has been removed, and namespace flux-system stays in the shoot, because the extension did not install all that is in it: "+
		"ConfigMap flux-system/cluster-vars, Secret flux-system/sh.helm.release.v1.podinfo.v1")
}

// borrow makes an object of a kind of the users', whose definition they gave the labels of Flux.
func (l *living) borrow() client.Object {
	definition := &apiextensionsv1.CustomResourceDefinition{ObjectMeta: metav1.ObjectMeta{Name: "databases.example.org", Labels: labelsOfFlux}}
	definition.Spec = apiextensionsv1.CustomResourceDefinitionSpec{
		Group: "example.org", Scope: apiextensionsv1.NamespaceScoped,
		Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Database", ListKind: "DatabaseList", Plural: "databases", Singular: "database"},
		Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
			Name: "v1", Served: true, Storage: true,
			Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object"}},
		}},
	}
	l.Expect(l.client.Create(l.ctx, definition)).To(Succeed())
	database := &unstructured.Unstructured{}
	database.SetGroupVersionKind(schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Database"})
	database.SetNamespace("default")
	database.SetName("customers")
	database.SetFinalizers([]string{"finalizers.fluxcd.io"})
	l.Eventually(func() error { return l.client.Create(l.ctx, database) }, timeout).Should(Succeed())
	return database
}

// expectOnlyForeign checks that nothing of Flux is in the shoot but the namespace.
func (l *living) expectOnlyForeign() {
	for _, list := range []client.ObjectList{&appsv1.DeploymentList{}, &corev1.PodList{}, &corev1.ServiceList{}, &corev1.ResourceQuotaList{}} {
		l.Expect(l.client.List(l.ctx, list, client.InNamespace("flux-system"))).To(Succeed())
		l.Expect(list).To(HaveField("Items", BeEmpty()), "%T", list)
	}
	secrets := &corev1.SecretList{}
	l.Expect(l.client.List(l.ctx, secrets, client.InNamespace("flux-system"))).To(Succeed())
	l.Expect(secrets.Items).To(HaveLen(1), "the key has gone")
	definitions := &apiextensionsv1.CustomResourceDefinitionList{}
	l.Expect(l.client.List(l.ctx, definitions)).To(Succeed())
	l.Expect(definitions.Items).To(ConsistOf(HaveField("Name", "databases.example.org")))
	roles := &rbacv1.ClusterRoleList{}
	l.Expect(l.client.List(l.ctx, roles, client.MatchingLabels(labelsOfFlux))).To(Succeed())
	l.Expect(roles.Items).To(ConsistOf(HaveField("Name", "team-flux-system")))
}

// expectEvent waits for an event of the Extension in the seed. note is a sentence, or a matcher of it.
func (s *shoot) expectEvent(reason string, note any) {
	s.Eventually(func(g Gomega) {
		events := &eventsv1.EventList{}
		g.Expect(shared.seedClient.List(s.ctx, events, client.InNamespace(s.control))).To(Succeed())
		g.Expect(events.Items).To(ContainElement(And(HaveField("Reason", reason), HaveField("Note", note))))
	}, timeout).Should(Succeed())
}
