// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// TestAllNodesAreTainted has a shoot whose only pool keeps pods away that don't tolerate its taints. kube-scheduler decides who gets a node: Flux
// does, and what it deploys, which tolerates nothing, does not.
func TestAllNodesAreTainted(t *testing.T) {
	parallel(t)
	p := newProject(t, "tainted")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url})
	taints := []corev1.Taint{
		{Key: "dedicated", Value: "apps", Effect: corev1.TaintEffectNoSchedule}, {Key: "spot", Effect: corev1.TaintEffectNoExecute},
	}
	shoot := p.newShootOn(p.landscape.Seed, "one", func(shoot *gardencorev1beta1.Shoot) { shoot.Spec.Provider.Workers[0].Taints = taints })
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)

	nodes := &corev1.NodeList{}
	p.Expect(shoot.cluster().List(t.Context(), nodes)).To(Succeed())
	p.Expect(nodes.Items).To(HaveEach(HaveField("Spec.Taints", ConsistOf(taints))))
	shoot.expectPods(flux.Namespace, HaveField("Status", corev1.ConditionTrue))
	shoot.expectPods("shop", And(HaveField("Status", corev1.ConditionFalse), HaveField("Message", ContainSubstring("untolerated taint"))))
}

// expectPods waits until kube-scheduler has decided on all pods of a namespace: whether they have a node, and why not.
func (s *shootOwner) expectPods(namespace string, decision types.GomegaMatcher) {
	s.Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(s.cluster().List(s.t.Context(), pods, client.InNamespace(namespace))).To(Succeed())
		g.Expect(pods.Items).NotTo(BeEmpty())
		for _, pod := range pods.Items {
			g.Expect(pod.Status.Conditions).To(ContainElement(And(HaveField("Type", corev1.PodScheduled), decision)), pod.Name)
		}
	}, timeout, interval).Should(Succeed())
}
