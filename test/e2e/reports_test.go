// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// expectReported waits until all that people can read about the shoot says the same: condition FluxReady of the Extension in the seed,
// the shoot's line in ConfigMap flux-status of the garden, and an event about the Shoot.
func (s *shootOwner) expectReported(ready gardencorev1beta1.ConditionStatus, event, words string) report.ShootStatus {
	s.t.Helper()
	var status report.ShootStatus
	s.Eventually(func(g Gomega) {
		ex := &extensionsv1alpha1.Extension{}
		g.Expect(s.seed.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.technicalID, Name: "shoot-flux"}, ex)).To(Succeed())
		condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady)
		g.Expect(condition).NotTo(BeNil())
		g.Expect(condition.Status).To(Equal(ready), condition.Message)
		g.Expect(condition.Message).To(ContainSubstring(words))

		var err error
		status, err = report.ParseShootStatus(s.statusConfigMap(g)[s.shoot.Name])
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status.Ready).To(Equal(ready), status.Message)
		g.Expect(status.Message).To(ContainSubstring(words))
		g.Expect(s.events(g)).To(ContainElement(And(HavePrefix(event+" "), ContainSubstring(words))))
	}, timeout, interval).Should(Succeed())
	return status
}

// expectMistake waits until people read everywhere what is wrong, and how to repair it.
func (s *shootOwner) expectMistake(reason, words string) {
	s.t.Helper()
	begin := time.Now()
	s.expectReported(gardencorev1beta1.ConditionFalse, "Warning "+reason, words)
	s.t.Logf("%4.1f s until %s was reported", time.Since(begin).Seconds(), reason)
}

// expectApplied waits until condition FluxReady of the Extension and the shoot's line say that Flux has applied a revision, of which the end counts.
func (s *shootOwner) expectApplied(revision string) (status report.ShootStatus) {
	s.t.Helper()
	begin := time.Now()
	s.Eventually(func(g Gomega) {
		ex := &extensionsv1alpha1.Extension{}
		g.Expect(s.seed.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.technicalID, Name: "shoot-flux"}, ex)).To(Succeed())
		condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady)
		g.Expect(condition).To(HaveValue(HaveField("Status", gardencorev1beta1.ConditionTrue)))
		g.Expect(condition.Message).To(ContainSubstring(revision))
		var err error
		status, err = report.ParseShootStatus(s.statusConfigMap(g)[s.shoot.Name])
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(status.Ready).To(Equal(gardencorev1beta1.ConditionTrue), status.Message)
		g.Expect(status.Revision).To(HaveSuffix(revision))
	}, timeout, interval).Should(Succeed())
	s.t.Logf("%4.1f s until %s was applied", time.Since(begin).Seconds(), revision)
	return status
}

// statusConfigMap is ConfigMap flux-status of the project.
func (s *shootOwner) statusConfigMap(g Gomega) map[string]string {
	configMap := &corev1.ConfigMap{}
	g.Expect(s.landscape.GardenClient.Get(s.t.Context(), client.ObjectKey{Namespace: s.shoot.Namespace, Name: report.ConfigMapName}, configMap)).To(Succeed())
	return configMap.Data
}

// events are those of the extension about the Shoot, as `kubectl describe shoot` shows them.
func (s *shootOwner) events(g Gomega) []string {
	list := &corev1.EventList{}
	g.Expect(s.landscape.GardenClient.List(s.t.Context(), list, client.InNamespace(s.shoot.Namespace))).To(Succeed())
	var sentences []string
	for _, event := range list.Items {
		if event.InvolvedObject.UID == s.shoot.UID && event.ReportingController == "gardener-extension-shoot-flux" {
			sentences = append(sentences, fmt.Sprintf("%s %s %s", event.Type, event.Reason, event.Message))
		}
	}
	return sentences
}

// TestReports reads what the people read who can't look into the seed, while they make their usual mistakes and repair them.
func TestReports(t *testing.T) {
	parallel(t)
	p := newProject(t, "told")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	p.configure(configuration)
	shoot := p.newShoot("one")
	shoot.expectSucceeded()

	publicKey := strings.TrimSpace(string(p.sourceSecret().Data["identity.pub"]))
	status := shoot.expectReported(gardencorev1beta1.ConditionFalse, "Warning AuthenticationFailed", "register this public key there as a read-only deploy key: "+publicKey)
	p.Expect(status.FluxVersion).To(Equal(fluxVersion))
	p.Expect(status.Source).To(Equal(configuration["repositoryUrl"]))
	p.Expect(shoot.statusConfigMap(p)).To(HaveKeyWithValue(report.KeyPublicKey, publicKey))
	p.Expect(shoot.events(p)).To(ContainElement(And(HavePrefix("Normal KeyPairMade "), ContainSubstring(publicKey))))
	shoot.expectHealthy() // the mistake is in the user's repository

	p.registerKey(repository)
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	head, err := repository.Head(t.Context(), gitserver.DefaultBranch)
	p.Expect(err).NotTo(HaveOccurred())
	status = shoot.expectReported(gardencorev1beta1.ConditionTrue, "Normal FluxReady", "Flux has applied revision ")
	p.Expect(status.Revision).To(HaveSuffix(head))
	p.Expect(status.Message).To(ContainSubstring(status.Revision))

	configuration["repositoryBranch"] = "nowhere"
	p.configure(configuration)
	shoot.expectReported(gardencorev1beta1.ConditionFalse, "Warning BranchNotFound", `has no branch "nowhere": push it, or correct repositoryBranch in ConfigMap garden-told/flux-config of the garden`)
	configuration["repositoryBranch"] = gitserver.DefaultBranch
	p.configure(configuration)
	shoot.expectReported(gardencorev1beta1.ConditionTrue, "Normal FluxReady", "Flux has applied revision ")

	shown := fmt.Sprint(shoot.statusConfigMap(p), shoot.events(p))
	p.Expect(shown).NotTo(ContainSubstring("PRIVATE KEY"))

	shoot.state(p)
	patch := client.MergeFrom(shoot.shoot.DeepCopy())
	shoot.shoot.Spec.Extensions = nil
	p.Expect(shared.GardenClient.Patch(t.Context(), shoot.shoot, patch)).To(Succeed())
	p.Eventually(func(g Gomega) { g.Expect(shoot.statusConfigMap(g)).NotTo(HaveKey("one")) }, timeout, interval).Should(Succeed())
}
