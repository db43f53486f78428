// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// hibernate sends the shoot to sleep, or wakes it up, and waits until Gardener has done so.
func (s *shootOwner) hibernate(enabled bool) {
	s.state(s)
	patch := client.MergeFrom(s.shoot.DeepCopy())
	s.shoot.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: &enabled}
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
	s.Eventually(func(g Gomega) {
		state, errs := s.state(g)
		g.Expect(s.shoot.Status.IsHibernated).To(Equal(enabled), errs)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), errs)
		g.Expect(s.shoot.Status.ObservedGeneration).To(Equal(s.shoot.Generation))
	}, timeout, interval).Should(Succeed())
}

// TestHibernation sends a shoot to sleep, changes what it should become meanwhile, wakes it up, and deletes it in its sleep.
func TestHibernation(t *testing.T) {
	parallel(t)
	p := newProject(t, "sleeps")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	p.configure(configuration)
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	key := p.sourceSecret().Data

	shoot.hibernate(true)
	p.Expect(shoot.cluster().List(t.Context(), &corev1.NamespaceList{})).NotTo(Succeed(), "the API server is stopped")
	p.Eventually(func(g Gomega) {
		g.Expect(shoot.statusConfigMap(g)).To(HaveKeyWithValue(shoot.shoot.Name, ContainSubstring(readiness.Hibernated)))
	}, timeout, interval).Should(Succeed())

	pushMessage(p, t, repository, "evening", "Good evening")
	configuration["repositoryBranch"] = "evening"
	p.configure(configuration)
	shoot.reconcile()
	shoot.expectSucceeded()

	shoot.hibernate(false)
	shoot.expectSynced(repository, "evening")
	p.Expect(shoot.message()).To(Equal("Good evening"))
	shoot.expectRevision(repository, "evening")
	p.Expect(p.sourceSecret().Data).To(Equal(key))

	shoot.hibernate(true)
	shoot.delete(t.Context())
	shoot.expectNothingIn(shoot.seed)
}

// TestWorkerlessShoot shows that Gardener itself refuses the extension where it can't work.
func TestWorkerlessShoot(t *testing.T) {
	parallel(t)
	p := newProject(t, "workerless")
	shoot := p.exampleShoot("one")
	shoot.Spec.Provider = gardencorev1beta1.Provider{Type: "local"}
	shoot.Spec.Networking, shoot.Spec.CredentialsBindingName = nil, nil
	p.Expect(p.landscape.GardenClient.Create(t.Context(), shoot)).To(MatchError(ContainSubstring("shoot-flux")))
}
