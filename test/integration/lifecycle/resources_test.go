// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// refer lets the Shoot refer to an object by a name, as its owner does.
func (s *shoot) refer(name, kind, to string) {
	s.object.Spec.Resources = append(s.object.Spec.Resources, gardencorev1beta1.NamedResourceReference{
		Name: name, ResourceRef: autoscalingv1.CrossVersionObjectReference{APIVersion: "v1", Kind: kind, Name: to},
	})
	s.syncCluster()
}

// bring writes what gardenlet copies of a Secret to which the Shoot refers.
func (s *shoot) bring(name string, kind corev1.SecretType, data map[string]string) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: "ref-" + name}, Type: kind, StringData: data}
	if err := shared.seedClient.Create(s.ctx, secret); err != nil {
		s.Expect(shared.seedClient.Update(s.ctx, secret)).To(Succeed())
	}
}

// contentOf returns the objects of a ManagedResource, as kind, namespace and name.
func (s *shoot) contentOf(name string) map[string]*unstructured.Unstructured {
	managedResource, _ := s.managedResource(name)
	data, err := managedresource.DataOf(s.ctx, shared.seedClient, managedResource)
	s.Expect(err).NotTo(HaveOccurred())
	objects, err := data.Objects()
	s.Expect(err).NotTo(HaveOccurred())
	content := map[string]*unstructured.Unstructured{}
	for _, object := range objects {
		content[strings.TrimSuffix(object.GetKind()+" "+object.GetNamespace(), " ")+"/"+object.GetName()] = object
	}
	return content
}

// withSecrets is a project whose shoots get Secrets of their owners.
func withSecrets(entries string) map[string]string {
	return with(publicRepository, "config", "additionalSecretResources: "+entries)
}

// TestSecretsOfTheShoot follows the Secrets of a shoot's owner into the shoot, from their first day to the last (cases 22 and 23).
func TestSecretsOfTheShoot(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.refer("age", "Secret", "team-age")
	l.refer("chat", "Secret", "chat-token")
	l.bring("team-age", corev1.SecretTypeOpaque, map[string]string{"age.agekey": "first of all"})
	l.bring("chat-token", corev1.SecretTypeBasicAuth, map[string]string{"username": "u", "password": "p"})
	both := withSecrets("[{name: age, targetName: sops-age, labels: {team: a}}, {name: chat, targetName: chat-token}]")
	l.configure(both)
	l.operate("reconcile")
	l.expectVersion("v2.9.4")
	age, chat := l.secret("sops-age"), l.secret("chat-token")
	l.Expect(age.Data).To(Equal(map[string][]byte{"age.agekey": []byte("first of all")}))
	l.Expect(age.Labels).To(And(HaveKeyWithValue("team", "a"), HaveKeyWithValue("app.kubernetes.io/managed-by", "gardener-extension-shoot-flux")))
	l.Expect(chat.Type).To(Equal(corev1.SecretTypeBasicAuth))
	l.expectNowhere("first of all")

	// Nothing has changed, and nothing is written.
	before, _ := l.managedResource(managedresource.Configuration)
	l.operate("reconcile")
	l.expectSuccess()
	after, _ := l.managedResource(managedresource.Configuration)
	l.Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))

	// What somebody deletes in the seed is made anew.
	data := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.control, Name: after.Spec.SecretRefs[0].Name}}
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(data), data)).To(Succeed())
	l.Expect(shared.seedClient.Patch(l.ctx, data, client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`)))).To(Succeed())
	l.Expect(shared.seedClient.Delete(l.ctx, data)).To(Succeed())
	l.touch(managedresource.Configuration)
	l.Eventually(func(g Gomega) {
		managedResource, err := managedresource.Get(l.ctx, shared.seedClient, l.control, managedresource.Configuration)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(managedresource.IsPending(managedResource)).To(BeTrue())
	}, timeout).Should(Succeed())
	l.operate("reconcile")
	l.expectSuccess()
	l.Expect(l.contentOf(managedresource.Configuration)).To(HaveKey("Secret flux-system/sops-age"))

	// What somebody edits in the shoot is put back.
	age.Data["age.agekey"] = []byte("edited")
	l.Expect(l.client.Update(l.ctx, age)).To(Succeed())
	l.Eventually(func(g Gomega) {
		l.retry(managedresource.Configuration)
		g.Expect(l.secret("sops-age").Data).To(HaveKeyWithValue("age.agekey", []byte("first of all")))
	}, timeout).Should(Succeed())

	// A new key arrives with the next reconciliation.
	l.bring("team-age", corev1.SecretTypeOpaque, map[string]string{"age.agekey": "second of all"})
	l.operate("reconcile")
	l.Eventually(func() map[string][]byte { return l.secret("sops-age").Data }, timeout).Should(HaveKeyWithValue("age.agekey", []byte("second of all")))
	l.expectSuccess()
	l.expectNowhere("second of all")

	// Another one takes its place, of a type to which no Secret can change.
	l.object.Spec.Resources[1].ResourceRef.Name = "chat-webhook"
	l.bring("chat-webhook", corev1.SecretTypeOpaque, map[string]string{"token": "t"})
	l.syncCluster()
	l.operate("reconcile")
	l.Eventually(func(g Gomega) {
		l.retry(managedresource.Configuration)
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(chat), chat)).To(Succeed())
		g.Expect(chat.Type).To(Equal(corev1.SecretTypeOpaque))
		g.Expect(chat.Data).To(Equal(map[string][]byte{"token": []byte("t")}))
	}, timeout).Should(Succeed())

	// Nobody names the other one any more.
	l.configure(withSecrets("[{name: age, targetName: sops-age}]"))
	l.Eventually(func() bool { return apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKeyFromObject(chat), chat)) }, timeout).Should(BeTrue())
	l.Expect(l.secret("sops-age").Data).NotTo(BeEmpty())
}

// TestSecretsGoAfterAMove: the seed that removes them has never seen them.
func TestSecretsGoAfterAMove(t *testing.T) {
	t.Parallel()
	for name, arrive := range arrivals {
		t.Run(name, func(t *testing.T) {
			l := newWorking(t)
			l.refer("age", "Secret", "team-age")
			l.bring("team-age", corev1.SecretTypeOpaque, map[string]string{"age.agekey": "x"})
			l.configure(withSecrets("[{name: age}]"))
			l.operate("reconcile")
			l.expectVersion("v2.9.4")
			l.secret("team-age")
			l.move()
			arrive(l)
			l.switchOff()
			l.expectSwitchedOff()
			l.expectNoFlux()
		})
	}
}

// secret reads a Secret that the extension has put into the shoot.
func (l *living) secret(name string) *corev1.Secret {
	secret := &corev1.Secret{}
	l.Expect(l.client.Get(l.ctx, client.ObjectKey{Namespace: "flux-system", Name: name}, secret)).To(Succeed())
	return secret
}

// expectNowhere checks that what only Secrets are to hold is in nothing that the extension says.
func (s *shoot) expectNowhere(secret string) {
	s.lastOperation(s)
	s.Expect(fmt.Sprintf("%s %s %v", s.extension.Status.ProviderStatus.Raw, s.extension.Status.State.Raw, s.extension.Status)).NotTo(ContainSubstring(secret))
}

// TestRefusedSecrets: each mistake is told where it is, and leaves what runs alone. All heal when they are mended.
func TestRefusedSecrets(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.refer("age", "Secret", "team-age")
	s.refer("other", "Secret", "other")
	s.refer("missing", "Secret", "not-there")
	s.refer("values", "ConfigMap", "values")
	s.refer("big", "Secret", "big")
	s.bring("team-age", corev1.SecretTypeOpaque, map[string]string{"age.agekey": "a secret"})
	s.bring("other", corev1.SecretTypeOpaque, map[string]string{"x": "another secret"})
	s.bring("big", corev1.SecretTypeOpaque, map[string]string{"x": strings.Repeat("b", 256<<10)})
	s.configure(withSecrets("[{name: age}]"))
	s.operate("reconcile")
	s.expectSuccess()
	before, _ := s.managedResource(managedresource.Configuration)

	of := "spec.resources of the Shoot " + s.project + "/one"
	for entries, sentence := range map[string]string{
		"[{name: nobody}]":  `additionalSecretResources[0].name: ` + of + ` has no entry "nobody": add one that refers to a Secret`,
		"[{name: values}]":  `additionalSecretResources[0].name: entry "values" in ` + of + ` refers to a ConfigMap: let it refer to a Secret`,
		"[{name: missing}]": `Secret ` + s.project + `/not-there, to which entry "missing" in spec.resources of the Shoot refers, has not come to the seed (as Secret ` + s.control + `/ref-not-there)`,
		"[{name: age, targetName: other}, {name: other}]":   "additionalSecretResources[1].targetName: Secret other of the shoot is that of additionalSecretResources[0] already",
		"[{name: age, targetName: flux-image-pull-secret}]": "the Secret flux-system/flux-image-pull-secret of the shoot is the one for Flux's own images",
		"[{name: age}, {name: big}]":                        "additionalSecretResources[1].name: the Secrets to which the Shoot " + s.project + "/one refers have more than 256 KiB together",
	} {
		s.configure(withSecrets(entries))
		s.expectProblem(fluxv1alpha1.NotAsConfigured, sentence)
		s.expectNowhere("a secret")
		unchanged, _ := s.managedResource(managedresource.Configuration)
		s.Expect(unchanged.ResourceVersion).To(Equal(before.ResourceVersion), entries)
	}
	s.configure(withSecrets("[{name: missing}]"))
	s.bring("not-there", corev1.SecretTypeOpaque, map[string]string{"x": "y"})
	s.expectNoProblem()
	s.Expect(s.contentOf(managedresource.Configuration)).To(HaveKey("Secret flux-system/not-there"))
}
