// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// expectProblem waits until the Extension tells a problem, and is well to gardenlet.
func (s *shoot) expectProblem(reason, sentence string) {
	s.Eventually(func(g Gomega) {
		state, description := s.askedOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), description)
		g.Expect(s.extension.Status.LastError).To(BeNil())
		problem := s.status(g).Problem
		g.Expect(problem).NotTo(BeNil())
		g.Expect(problem.Reason).To(Equal(reason))
		g.Expect(problem.Message).To(ContainSubstring(sentence))
	}, timeout).Should(Succeed())
}

// expectNoProblem waits until the shoot has what is configured.
func (s *shoot) expectNoProblem() {
	s.Eventually(func(g Gomega) {
		state, description := s.askedOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), description)
		g.Expect(s.status(g).Problem).To(BeNil())
	}, timeout).Should(Succeed())
}

// TestAMistakeStopsNobody lets gardenlet reconcile a shoot that has Flux, for a new worker for example, while somebody's mistake keeps it
// from what is configured.
func TestAMistakeStopsNobody(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()

	s.Expect(shared.gardenClient.DeleteAllOf(s.ctx, &corev1.ConfigMap{}, client.InNamespace(s.project))).To(Succeed())
	s.operate("reconcile")
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "ConfigMap "+s.project+"/flux-config does not exist in the garden: create it")
	since := s.status(s).Problem.Since

	// It is tried again by itself, with pauses.
	tries := s.extension.Status.LastOperation.LastUpdateTime
	s.Eventually(func(g Gomega) {
		s.lastOperation(g)
		g.Expect(s.extension.Status.LastOperation.LastUpdateTime.After(tries.Time)).To(BeTrue())
	}, timeout).Should(Succeed())
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "does not exist in the garden")
	s.Expect(s.status(s).Problem.Since).To(Equal(since))

	s.configure(with(publicRepository, "fluxVersion", "newest"))
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "fluxVersion")
	s.setProviderConfig("installation", "twice")
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "field providerConfig of extension shoot-flux in Shoot "+s.project+"/one is not valid: ")
	s.setProviderConfig("installation", "managed")
	s.expectNoProblem()
	s.Expect(s.digest(s)).To(Equal(digestOf(s, publicRepository)))
}

// TestNoSignatureOfAnybody has a release that can't tell whose keyless signature it is: the shoot keeps what it follows.
func TestNoSignatureOfAnybody(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	before := with(publicRepository, "fluxVersion", "v0.41.2")
	s.configure(before)
	s.operate("reconcile")
	s.expectSuccess()

	keyless := map[string]string{"fluxVersion": "v0.41.2", "repositoryUrl": "oci://registry.example.com/fleet", "repositoryTag": "1", "verifyIssuer": "^https://token$", "verifySubject": "^fleet$"}
	s.configure(keyless)
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "the Flux of the shoot (v0.41.2) does not know key verifyIssuer of ConfigMap flux-config and "+
		"key verifySubject of ConfigMap flux-config, which Flux has since v2.2.0: set key fluxVersion of ConfigMap flux-config to a newer release")
	s.Expect(s.digest(s)).To(Equal(digestOf(s, before)))

	keyless["fluxVersion"] = "v2.2.3"
	s.configure(keyless)
	s.expectNoProblem()
	s.Expect(s.followedObjects()).To(ContainElement(ContainSubstring("^fleet$")))
}

// TestAProblemHealsByItself repairs what nobody watches.
func TestAProblemHealsByItself(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectSuccess()
	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, client.ObjectKey{Namespace: s.project, Name: "flux-source"}, secret)).To(Succeed())
	key := secret.Data["identity"]
	secret.Data["identity"] = []byte("nonsense")
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.operate("reconcile")
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "flux-source")

	secret.Data["identity"] = key
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.expectNoProblem()

	// When all is well, nothing is done any more.
	s.settle()
}
