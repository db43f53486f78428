// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// expectFailed waits until Gardener has given the Shoot up, and extensions can know it.
func (s *shootOwner) expectFailed() {
	s.Eventually(func(g Gomega) {
		state, errs := s.state(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateFailed), errs)
		cluster, err := extensions.GetCluster(s.t.Context(), s.seed.Client, s.technicalID)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(cluster.Shoot.Status.LastOperation.State).To(Equal(gardencorev1beta1.LastOperationStateFailed))
	}, timeout, interval).Should(Succeed())
}

// annotate is what owners of shoots do to make Gardener act.
func (s *shootOwner) annotate(key, value string) {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+key+`":"`+value+`"}}}`))
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
}

// TestShootIsGivenUp takes the nodes' infrastructure away from a shoot, so that Gardener gives it up. It is left alone until its owner asks
// for another try, and at last deleted by force, without an API server.
func TestShootIsGivenUp(t *testing.T) {
	parallel(t)
	p := newProject(t, "failed")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	p.configure(configuration)
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectRevision(repository, gitserver.DefaultBranch)

	shared.RefuseWorkers(shoot.technicalID, true)
	shoot.annotate("gardener.cloud/operation", "reconcile")
	shoot.expectFailed()
	pushMessage(shoot, t, repository, "production", "once more")
	p.configure(map[string]string{"fluxversion": fluxVersion})
	configuration["repositoryBranch"] = "production"
	p.configure(configuration)
	pushMessage(shoot, t, repository, gitserver.DefaultBranch, "given up")
	shoot.fetch()
	shoot.expectRevision(repository, gitserver.DefaultBranch) // Flux works on, and people are told
	ex := &extensionsv1alpha1.Extension{}
	p.Expect(shoot.seed.Client.Get(t.Context(), client.ObjectKey{Namespace: shoot.technicalID, Name: "shoot-flux"}, ex)).To(Succeed())
	p.Expect(ex.Status.LastError).To(BeNil())

	shared.RefuseWorkers(shoot.technicalID, false)
	shoot.annotate("gardener.cloud/operation", "retry")
	shoot.expectRevision(repository, "production")
	shoot.expectSucceeded()

	shared.RefuseWorkers(shoot.technicalID, true)
	p.Expect(confirmAndDelete(t.Context(), p, shared.GardenClient, shoot.shoot)).To(BeTrue())
	shoot.expectFailed()
	cluster, err := shared.ShootCluster(shoot.technicalID)
	p.Expect(err).NotTo(HaveOccurred())
	cluster.APIServer.Kill()
	begin := time.Now()
	shoot.annotate("confirmation.gardener.cloud/force-deletion", "true")
	shoot.expectGone(t.Context())
	t.Logf("deleted by force in %s", time.Since(begin))
	shoot.expectNothingIn(shoot.seed)
	p.Eventually(func(g Gomega) { g.Expect(shoot.statusConfigMap(g)).NotTo(HaveKey("one")) }, timeout, interval).Should(Succeed())
	p.sourceSecret()
}
