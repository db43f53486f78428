// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// What the garden can answer.
const (
	allowed = "allowed"
	// unauthorized is the answer of RBAC.
	unauthorized = "forbidden: no right"
	// refused is the answer of a policy.
	refused = "forbidden: policy"
)

func answer(err error) string {
	switch {
	case err == nil, apierrors.IsNotFound(err), apierrors.IsAlreadyExists(err), apierrors.IsConflict(err):
		return allowed
	case apierrors.IsForbidden(err) && (contains(err, "cannot") || contains(err, "attempting to grant")):
		return unauthorized
	case contains(err, "ValidatingAdmissionPolicy"):
		return refused
	}
	return "failed: " + err.Error()
}

func contains(err error, words string) bool {
	matches, _ := ContainSubstring(words).Match(err.Error())
	return matches
}

// request is a dry run, or reads.
type request func(ctx context.Context, garden client.Client) error

func get(object client.Object, namespace, name string) request {
	return func(ctx context.Context, garden client.Client) error {
		return garden.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, object.DeepCopyObject().(client.Object))
	}
}

func list(objects client.ObjectList, options ...client.ListOption) request {
	return func(ctx context.Context, garden client.Client) error {
		return garden.List(ctx, objects.DeepCopyObject().(client.ObjectList), options...)
	}
}

func secret(namespace, name string, secretType corev1.SecretType) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: secretType, Data: map[string][]byte{"identity": []byte("x")}}
}

func post(object client.Object) request {
	return func(ctx context.Context, garden client.Client) error {
		return garden.Create(ctx, object.DeepCopyObject().(client.Object), client.DryRunAll)
	}
}

func applySecret(namespace, name string, secretType corev1.SecretType) request {
	return applySecretWith(namespace, name, secretType, "identity")
}

func applySecretWith(namespace, name string, secretType corev1.SecretType, key string) request {
	return func(ctx context.Context, garden client.Client) error {
		return garden.Apply(ctx, corev1ac.Secret(name, namespace).WithType(secretType).WithData(map[string][]byte{key: []byte("x")}),
			client.FieldOwner("test"), client.DryRunAll)
	}
}

func applyConfigMap(namespace, name string) request {
	return func(ctx context.Context, garden client.Client) error {
		return garden.Apply(ctx, corev1ac.ConfigMap(name, namespace).WithData(map[string]string{"one": "x"}), client.FieldOwner("test"), client.DryRunAll)
	}
}

// reporter is what the extension calls itself in events.
const reporter = "gardener-extension-shoot-flux"

func event(namespace, kind, controller string) *eventsv1.Event {
	return &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: namespace, Name: "one"},
		EventTime:           metav1.NowMicro(),
		Regarding:           corev1.ObjectReference{APIVersion: "core.gardener.cloud/v1beta1", Kind: kind, Namespace: namespace, Name: "one"},
		ReportingController: controller,
		ReportingInstance:   "one",
		Action:              "Reconcile",
		Type:                corev1.EventTypeNormal,
		Reason:              "FluxReady",
	}
}

func patch(object client.Object, namespace, name, content string) request {
	return func(ctx context.Context, garden client.Client) error {
		changed := object.DeepCopyObject().(client.Object)
		changed.SetNamespace(namespace)
		changed.SetName(name)
		return garden.Patch(ctx, changed, client.RawPatch("application/merge-patch+json", []byte(content)), client.DryRunAll)
	}
}

func remove(object client.Object, namespace, name string) request {
	return func(ctx context.Context, garden client.Client) error {
		gone := object.DeepCopyObject().(client.Object)
		gone.SetNamespace(namespace)
		gone.SetName(name)
		return garden.Delete(ctx, gone, client.DryRunAll)
	}
}

var (
	configMap    = &corev1.ConfigMap{}
	anySecret    = &corev1.Secret{}
	onlyStatuses = client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", "flux-status")}
	onlyConfigs  = client.MatchingFieldsSelector{Selector: fields.OneTermEqualSelector("metadata.name", "flux-config")}
)

// requests are in the order of the rights document: what the extension needs, and what a compromised seed would like to do.
var requests = []struct {
	name    string
	request request
	// The answers to the ServiceAccount with the ClusterRole, to the one with the rights of one project, to one of a seed
	// without any, and to the admin of the own project.
	cluster, project, none, admin string
}{
	{"get flux-config, own project", get(configMap, ownProject, "flux-config"), allowed, unauthorized, unauthorized, allowed},
	{"get flux-config, foreign project", get(configMap, foreignProject, "flux-config"), allowed, unauthorized, unauthorized, unauthorized},
	{"get flux-config, project with rights of its own", get(configMap, narrowProject, "flux-config"), allowed, allowed, unauthorized, unauthorized},
	{"list flux-config everywhere, by name", list(&corev1.ConfigMapList{}, onlyConfigs), allowed, unauthorized, unauthorized, unauthorized},
	{"list all ConfigMaps", list(&corev1.ConfigMapList{}), unauthorized, unauthorized, unauthorized, unauthorized},
	{"list all ConfigMaps of a project", list(&corev1.ConfigMapList{}, client.InNamespace(ownProject)), unauthorized, unauthorized, unauthorized, allowed},
	{"get another ConfigMap", get(configMap, ownProject, "kube-root-ca.crt"), unauthorized, unauthorized, unauthorized, allowed},
	{"create flux-config", post(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownProject, Name: "flux-config"}}), unauthorized, unauthorized, unauthorized, allowed},
	{"change flux-config", patch(configMap, ownProject, "flux-config", `{"data":{"fluxVersion":"latest"}}`), unauthorized, unauthorized, unauthorized, allowed},

	{"get flux-source, own project", get(anySecret, ownProject, "flux-source"), allowed, unauthorized, unauthorized, allowed},
	{"get flux-source, foreign project", get(anySecret, foreignProject, "flux-source"), allowed, unauthorized, unauthorized, unauthorized},
	{"get flux-source, project with rights of its own", get(anySecret, narrowProject, "flux-source"), allowed, allowed, unauthorized, unauthorized},
	{"get another Secret", get(anySecret, ownProject, "cloudprovider"), unauthorized, unauthorized, unauthorized, allowed},
	{"list Secrets", list(&corev1.SecretList{}), unauthorized, unauthorized, unauthorized, unauthorized},
	{"list flux-source everywhere, by name", list(&corev1.SecretList{}, client.MatchingFields{"metadata.name": "flux-source"}), allowed, unauthorized, unauthorized, unauthorized},

	{"create flux-source by server-side apply, own project", applySecret(ownProject, "flux-source", corev1.SecretTypeOpaque), allowed, unauthorized, unauthorized, allowed},
	{"create flux-source by server-side apply, foreign project", applySecret(foreignProject, "flux-source", corev1.SecretTypeOpaque), allowed, unauthorized, unauthorized, unauthorized},
	{"create flux-source by server-side apply, project with rights of its own", applySecret(narrowProject, "flux-source", corev1.SecretTypeOpaque), allowed, allowed, unauthorized, unauthorized},
	{"create flux-source by POST", post(secret(ownProject, "flux-source", corev1.SecretTypeOpaque)), unauthorized, unauthorized, unauthorized, allowed},
	{"create flux-source of another type", applySecret(ownProject, "flux-source", "bootstrap.kubernetes.io/token"), refused, unauthorized, unauthorized, allowed},
	{"create flux-source of project garden", applySecret("garden", "flux-source", corev1.SecretTypeOpaque), allowed, unauthorized, unauthorized, unauthorized},
	{"create another Secret of project garden", applySecret("garden", "internal-domain", corev1.SecretTypeOpaque), unauthorized, unauthorized, unauthorized, unauthorized},
	{"create flux-source of another type in project garden", applySecret("garden", "flux-source", "bootstrap.kubernetes.io/token"), refused, unauthorized, unauthorized, unauthorized},
	{"create flux-source in kube-system", applySecret("kube-system", "flux-source", corev1.SecretTypeOpaque), refused, unauthorized, unauthorized, unauthorized},
	{"create flux-source in the namespace of a seed", applySecret(ownSeed, "flux-source", corev1.SecretTypeOpaque), refused, unauthorized, unauthorized, unauthorized},
	{"create another Secret", applySecret(ownProject, "cloudprovider", corev1.SecretTypeOpaque), unauthorized, unauthorized, unauthorized, allowed},
	{"create a bootstrap token", applySecret("kube-system", "bootstrap-token-abcdef", "bootstrap.kubernetes.io/token"), unauthorized, unauthorized, unauthorized, unauthorized},
	{"complete flux-source", patch(anySecret, existing, "flux-source", `{"data":{"known_hosts":"eA=="}}`), allowed, unauthorized, unauthorized, unauthorized},
	{"replace the key of flux-source", patch(anySecret, existing, "flux-source", `{"data":{"identity":"eQ=="}}`), refused, unauthorized, unauthorized, unauthorized},
	{"remove the key of flux-source", patch(anySecret, existing, "flux-source", `{"data":{"identity":null}}`), refused, unauthorized, unauthorized, unauthorized},
	{"write a token into flux-source", patch(anySecret, existing, "flux-source", `{"data":{"bearerToken":"eQ=="}}`), refused, unauthorized, unauthorized, unauthorized},
	{"replace a token of flux-source", patch(anySecret, existing, "flux-source", `{"data":{"password":"eQ=="}}`), refused, unauthorized, unauthorized, unauthorized},
	{"remove a token of flux-source", patch(anySecret, existing, "flux-source", `{"data":{"password":null}}`), refused, unauthorized, unauthorized, unauthorized},
	{"create flux-source with a token", applySecretWith(ownProject, "flux-source", corev1.SecretTypeOpaque, "bearerToken"), refused, unauthorized, unauthorized, allowed},
	{"delete flux-source", remove(anySecret, existing, "flux-source"), unauthorized, unauthorized, unauthorized, unauthorized},

	{"get flux-status, foreign project", get(configMap, foreignProject, "flux-status"), allowed, unauthorized, unauthorized, unauthorized},
	{"get flux-status, project with rights of its own", get(configMap, narrowProject, "flux-status"), allowed, allowed, unauthorized, unauthorized},
	{"list flux-status everywhere, by name", list(&corev1.ConfigMapList{}, onlyStatuses), allowed, unauthorized, unauthorized, unauthorized},
	{"write flux-status by server-side apply, own project", applyConfigMap(ownProject, "flux-status"), allowed, unauthorized, unauthorized, allowed},
	{"write flux-status by server-side apply, foreign project", applyConfigMap(foreignProject, "flux-status"), allowed, unauthorized, unauthorized, unauthorized},
	{"write flux-status by server-side apply, project with rights of its own", applyConfigMap(narrowProject, "flux-status"), allowed, allowed, unauthorized, unauthorized},
	{"create flux-status by POST", post(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownProject, Name: "flux-status"}}), unauthorized, unauthorized, unauthorized, allowed},
	{"write flux-status of project garden", applyConfigMap("garden", "flux-status"), allowed, unauthorized, unauthorized, unauthorized},
	{"write flux-status in kube-system", applyConfigMap("kube-system", "flux-status"), refused, unauthorized, unauthorized, unauthorized},
	{"write another ConfigMap", applyConfigMap(ownProject, "another"), unauthorized, unauthorized, unauthorized, allowed},
	{"delete flux-status", remove(configMap, ownProject, "flux-status"), unauthorized, unauthorized, unauthorized, allowed},

	{"create an event about a Shoot, own project", post(event(ownProject, "Shoot", reporter)), allowed, unauthorized, unauthorized, unauthorized},
	{"create an event about a Shoot, foreign project", post(event(foreignProject, "Shoot", reporter)), allowed, unauthorized, unauthorized, unauthorized},
	{"create an event about a Shoot, project with rights of its own", post(event(narrowProject, "Shoot", reporter)), allowed, allowed, unauthorized, unauthorized},
	{"create an event about something else", post(event(ownProject, "SecretBinding", reporter)), refused, unauthorized, unauthorized, unauthorized},
	{"create an event in another name", post(event(ownProject, "Shoot", "gardenlet")), refused, unauthorized, unauthorized, unauthorized},
	{"create an event of project garden", post(event("garden", "Shoot", reporter)), allowed, unauthorized, unauthorized, unauthorized},
	{"create an event about something else of project garden", post(event("garden", "Seed", reporter)), refused, unauthorized, unauthorized, unauthorized},
	{"create an event in kube-system", post(event("kube-system", "Shoot", reporter)), refused, unauthorized, unauthorized, unauthorized},
	{"create an event of the old API", post(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: ownProject, Name: "one"},
		InvolvedObject: corev1.ObjectReference{Kind: "Shoot", Namespace: ownProject, Name: "one"}}), unauthorized, unauthorized, unauthorized, unauthorized},
	{"list events", list(&eventsv1.EventList{}), unauthorized, unauthorized, unauthorized, unauthorized},

	{"create a ServiceAccount with the label in the project", post(serviceAccount(ownProject, "extension-shoot--a--b", true)), unauthorized, unauthorized, unauthorized, refused},
	{"create a ServiceAccount with the label and the name in the project", post(serviceAccount(ownProject, "shoot-flux-garden", true)), unauthorized, unauthorized, unauthorized, refused},
	{"add the label to a ServiceAccount of the project", patch(&corev1.ServiceAccount{}, ownProject, "robot", `{"metadata":{"labels":{"`+accessLabel+`":""}}}`), unauthorized, unauthorized, unauthorized, refused},
	{"create a ServiceAccount without the label in the project", post(serviceAccount(ownProject, "extension-shoot--a--b", false)), unauthorized, unauthorized, unauthorized, allowed},
	{"bind the ClusterRole", post(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "mine"},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: clusterRole},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: ownProject, Name: "robot"}}}), unauthorized, unauthorized, unauthorized, unauthorized},
}

func TestIdentities(t *testing.T) {
	projectAdmin := asProjectAdmin(t)
	identities := []struct {
		name   string
		garden client.Client
		answer func(int) string
	}{
		{"seed with the ClusterRole", as(t, ownSeed, "shoot-flux-garden"), func(i int) string { return requests[i].cluster }},
		{"another seed with the ClusterRole", as(t, foreignSeed, "shoot-flux-garden"), func(i int) string { return requests[i].cluster }},
		{"seed with the rights of one project", as(t, "seed-local", "shoot-flux-garden"), func(i int) string { return requests[i].project }},
		{"another ServiceAccount of the seed", as(t, ownSeed, "other"), func(i int) string { return requests[i].none }},
		{"admin of the own project", projectAdmin, func(i int) string { return requests[i].admin }},
	}
	waitForPolicies(t, identities[0].garden, projectAdmin)
	for _, identity := range identities {
		t.Run(identity.name, func(t *testing.T) {
			for i, test := range requests {
				t.Run(test.name, func(t *testing.T) {
					NewWithT(t).Expect(answer(test.request(t.Context(), identity.garden))).To(Equal(identity.answer(i)))
				})
			}
		})
	}
}

// waitForPolicies: roles and policies act a moment after they were written.
func waitForPolicies(t *testing.T, seed, projectAdmin client.Client) {
	t.Helper()
	NewWithT(t).Eventually(func(g Gomega) {
		g.Expect(answer(applySecret("kube-system", "flux-source", corev1.SecretTypeOpaque)(t.Context(), seed))).To(Equal(refused))
		g.Expect(answer(post(serviceAccount(ownProject, "extension-shoot--a--b", true))(t.Context(), projectAdmin))).To(Equal(refused))
	}, timeout).Should(Succeed())
}

// Policies are the second line: they hold even if somebody gives the extension more rights than it needs.
func TestPoliciesHoldWithAllRights(t *testing.T) {
	g := NewWithT(t)
	g.Expect(admin.Create(t.Context(), serviceAccount("seed-mighty", "shoot-flux-garden", false))).To(MatchError(ContainSubstring("not found")))
	g.Expect(admin.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "seed-mighty"}})).To(Succeed())
	g.Expect(admin.Create(t.Context(), serviceAccount("seed-mighty", "shoot-flux-garden", false))).To(Succeed())
	g.Expect(admin.Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "mighty"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: "seed-mighty", Name: "shoot-flux-garden"}},
	})).To(Succeed())
	mighty := as(t, "seed-mighty", "shoot-flux-garden")
	g.Eventually(func() error { return mighty.List(t.Context(), &corev1.SecretList{}) }, timeout).Should(Succeed())

	for name, test := range map[string]struct {
		request request
		want    string
	}{
		"a bootstrap token":        {applySecret("kube-system", "bootstrap-token-abcdef", "bootstrap.kubernetes.io/token"), refused},
		"another Secret":           {applySecret(ownProject, "cloudprovider", corev1.SecretTypeOpaque), refused},
		"a Secret by POST":         {post(secret(ownProject, "cloudprovider", corev1.SecretTypeOpaque)), refused},
		"a ConfigMap":              {post(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ownProject, Name: "flux-config"}}), refused},
		"flux-status":              {applyConfigMap(ownProject, "flux-status"), allowed},
		"flux-status in a system":  {applyConfigMap("kube-system", "flux-status"), refused},
		"flux-status in a garden":  {applyConfigMap("garden", "flux-status"), allowed},
		"a Secret in a garden":     {applySecret("garden", "internal-domain", corev1.SecretTypeOpaque), refused},
		"the end of flux-status":   {remove(configMap, existing, "flux-status"), refused},
		"an event":                 {post(event(ownProject, "Shoot", reporter)), allowed},
		"an event about a Project": {post(event(ownProject, "Project", reporter)), refused},
		"an event of the old API": {post(&corev1.Event{ObjectMeta: metav1.ObjectMeta{Namespace: ownProject, Name: "one"},
			InvolvedObject: corev1.ObjectReference{Kind: "Shoot", APIVersion: "core.gardener.cloud/v1beta1", Namespace: ownProject, Name: "one"}, ReportingController: reporter}), refused},
		"a binding":               {post(&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "more"}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}}), refused},
		"a token":                 {createToken, refused},
		"the end of flux-source":  {remove(anySecret, existing, "flux-source"), refused},
		"flux-source in a system": {applySecret("kube-system", "flux-source", corev1.SecretTypeOpaque), refused},
		"flux-source in a garden": {applySecret("garden", "flux-source", corev1.SecretTypeOpaque), allowed},
		"flux-source":             {applySecret(ownProject, "flux-source", corev1.SecretTypeOpaque), allowed},
		"flux-source by POST":     {post(secret(ownProject, "flux-source", corev1.SecretTypeOpaque)), allowed},
	} {
		t.Run(name, func(t *testing.T) {
			NewWithT(t).Expect(answer(test.request(t.Context(), mighty))).To(Equal(test.want))
		})
	}
}

// A compromised seed could bypass the policy by changing it, if it might.
func TestTenantsCannotChangeThePolicies(t *testing.T) {
	g := NewWithT(t)
	for _, garden := range []client.Client{as(t, ownSeed, "shoot-flux-garden"), asProjectAdmin(t)} {
		role := &rbacv1.ClusterRole{}
		role.Name = clusterRole
		err := garden.Patch(t.Context(), role, client.RawPatch("application/merge-patch+json", []byte(`{"rules":[]}`)), client.DryRunAll)
		g.Expect(answer(err)).To(Equal(unauthorized), fmt.Sprint(err))
	}
}
