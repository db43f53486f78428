// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"context"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// condition is read by Eventually.
func (s *shoot) condition(g Gomega) gardencorev1beta1.Condition {
	g.Expect(s.seed.client.Get(context.Background(), client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	condition := v1beta1helper.GetCondition(s.extension.Status.Conditions, fluxv1alpha1.FluxReady)
	g.Expect(condition).NotTo(BeNil())
	return *condition
}

func (s *shoot) expectCondition(ready gardencorev1beta1.ConditionStatus, reason, words string) {
	s.t.Helper()
	s.Eventually(s.condition, timeout).Should(And(HaveField("Status", ready), HaveField("Reason", reason), HaveField("Message", ContainSubstring(words))))
}

// looked makes the controller look into the shoot, as it does after an operation of gardenlet.
func (s *shoot) looked() {
	for _, state := range []gardencorev1beta1.LastOperationState{gardencorev1beta1.LastOperationStateProcessing, gardencorev1beta1.LastOperationStateSucceeded} {
		s.change(func(to *extensionsv1alpha1.ExtensionStatus) {
			to.LastOperation = extensionscontroller.LastOperation(gardencorev1beta1.LastOperationTypeReconcile, state, 100, "")
		})
	}
}

// bring does what gardener-resource-manager does with ManagedResource Configuration.
func (s *shoot) bring(references ...resourcesv1alpha1.ObjectReference) {
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: s.extension.Namespace, Name: managedresource.Configuration}}
	managedResource.Spec.SecretRefs = []corev1.LocalObjectReference{{Name: "content"}}
	if err := s.seed.client.Create(s.t.Context(), managedResource.DeepCopy()); err != nil {
		s.Expect(err).To(MatchError(ContainSubstring("already exists")))
	}
	s.Expect(s.seed.client.Get(s.t.Context(), client.ObjectKeyFromObject(managedResource), managedResource)).To(Succeed())
	managedResource.Status.ObservedGeneration = managedResource.Generation
	managedResource.Status.Resources = references
	managedResource.Status.Conditions = []gardencorev1beta1.Condition{{
		Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue, LastTransitionTime: metav1.Now(), LastUpdateTime: metav1.Now(),
	}}
	s.Expect(s.seed.client.Status().Update(s.t.Context(), managedResource)).To(Succeed())
}

func reference(apiVersion, kind string) resourcesv1alpha1.ObjectReference {
	return resourcesv1alpha1.ObjectReference{ObjectReference: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: "flux-system", Name: "flux-system"}}
}

// flux writes a status as Flux does.
func (s *shoot) flux(kind string, status map[string]any, ready metav1.ConditionStatus, reason, message string) {
	groups := map[string]string{"GitRepository": "source.toolkit.fluxcd.io", "Kustomization": "kustomize.toolkit.fluxcd.io"}
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(groups[kind] + "/v1beta2")
	object.SetKind(kind)
	object.SetNamespace("flux-system")
	object.SetName("flux-system")
	object.Object["spec"] = map[string]any{"url": "ssh://git@git.example.com/fleet", "ref": map[string]any{"branch": "main"}, "path": "./"}
	if err := s.seed.client.Create(s.t.Context(), object.DeepCopy()); err != nil {
		s.Expect(err).To(MatchError(ContainSubstring("already exists")))
	} else {
		s.t.Cleanup(func() { _ = s.seed.client.Delete(context.WithoutCancel(s.t.Context()), object) })
	}
	s.Expect(s.seed.client.Get(s.t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	status["conditions"] = []any{map[string]any{
		"type": "Ready", "status": string(ready), "reason": reason, "message": message, "observedGeneration": object.GetGeneration(), "lastTransitionTime": time.Now().UTC().Format(time.RFC3339),
	}}
	object.Object["status"] = status
	s.Expect(s.seed.client.Status().Update(s.t.Context(), object)).To(Succeed())
}

// The shoot of this test has an old Flux, which serves v1beta2.
func TestFluxReady(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, "ssh-ed25519 AAAA")
	seeds[0].startExtension(t, true)
	s := seeds[0].newShoot(t, project, "one")
	s.looked()
	s.expectCondition("Progressing", "NotApplied", "gardener-resource-manager has not yet brought")

	s.bring()
	s.say(statusOfPrivate + `,"hostKeys":["ssh-ed25519 SHA256:trusted"]`)
	s.expectCondition("True", "NoRepository", "only Flux is installed")
	s.installControllers()

	s.bring(reference("source.toolkit.fluxcd.io/v1", "GitRepository"), reference("kustomize.toolkit.fluxcd.io/v1", "Kustomization"))
	s.looked()
	s.expectCondition("Progressing", "NotApplied", "does not exist in the shoot yet")

	s.flux("Kustomization", map[string]any{}, "False", "ArtifactFailed", "Source artifact not found")
	s.flux("GitRepository", map[string]any{}, "False", "GitOperationFailed", "failed to checkout and determine revision: ssh: unable to authenticate, attempted methods [none publickey]")
	s.looked()
	s.expectCondition("False", "AuthenticationFailed", "register this public key there as a read-only deploy key: ssh-ed25519 AAAA")
	s.expectLine("False", "ssh-ed25519 AAAA")
	s.Eventually(s.events, timeout).Should(ContainElement(ContainSubstring("Warning AuthenticationFailed the Git server does not accept the project's key")))

	s.flux("GitRepository", map[string]any{}, "False", "GitOperationFailed", "ssh: handshake failed: knownhosts: key mismatch")
	s.looked()
	s.expectCondition("False", "HostKeyMismatch", "(ssh-ed25519 SHA256:trusted)")
	s.expectCondition("False", "HostKeyMismatch", "to the seed the server presents ssh-ed25519 SHA256:presented")

	s.flux("GitRepository", map[string]any{"artifact": map[string]any{"revision": "main@sha1:1"}}, "True", "Succeeded", "stored artifact")
	s.flux("Kustomization", map[string]any{"lastAppliedRevision": "main@sha1:1"}, "True", "ReconciliationSucceeded", "Applied revision: main@sha1:1")
	s.looked()
	s.expectCondition("True", "Applied", "Flux has applied revision main@sha1:1 of ssh://git@git.example.com/fleet")
	s.Expect(fluxv1alpha1.StatusOf(s.extension).Revision).To(Equal("main@sha1:1"))
	s.Expect(s.expectLine("True", "main@sha1:1").Revision).To(Equal("main@sha1:1"))

	// What Flux does every minute is no news.
	before := s.condition(s)
	s.flux("Kustomization", map[string]any{"lastAppliedRevision": "main@sha1:1"}, "Unknown", "Progressing", "Reconciliation in progress")
	s.looked()
	version := s.extension.ResourceVersion
	s.Consistently(s.condition, "2s").Should(Equal(before))
	s.Expect(s.extension.ResourceVersion).To(Equal(version), "nothing is written")

	// The configuration has changed, and is not in the shoot yet: what Flux says is about the one before.
	changed := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: s.extension.Namespace, Name: managedresource.Configuration}}
	s.Expect(s.seed.client.Patch(t.Context(), changed, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"secretRefs":[{"name":"other"}]}}`)))).To(Succeed())
	s.looked()
	s.expectCondition("Progressing", "NotApplied", "gardener-resource-manager has not yet brought")
	s.Expect(fluxv1alpha1.StatusOf(s.extension).Revision).To(Equal("main@sha1:1"))

	s.object.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
	s.syncCluster()
	s.looked()
	s.expectCondition("True", "Hibernated", "the shoot is hibernated")
}

// A shoot whose API server does not answer changes nothing at first.
func TestAShootDoesNotAnswer(t *testing.T) {
	project := newProject(t)
	seeds[1].startExtension(t, true)
	s := seeds[1].newShoot(t, project, "one")
	s.bring(reference("source.toolkit.fluxcd.io/v1", "GitRepository"), reference("kustomize.toolkit.fluxcd.io/v1", "Kustomization"))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.extension.Namespace, Name: "gardener-internal"}}
	s.Expect(s.seed.client.Delete(t.Context(), secret)).To(Succeed())
	s.conclude("True", "Applied", "applied")
	s.looked()
	s.expectCondition("True", "Applied", "applied")
	s.expectCondition("Unknown", "ShootUnreachable", "no access to the shoot by Secret gardener-internal or gardener")
}
