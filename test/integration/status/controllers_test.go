// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"context"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// installControllers makes the Deployments of Flux's controllers, which nobody runs in these tests.
func (s *shoot) installControllers() {
	s.t.Helper()
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		labels := map[string]string{"app": name}
		deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: name}}
		deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
		deployment.Spec.Template.Labels = labels
		deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "manager", Image: "example.org/" + name}}
		s.Expect(s.seed.client.Create(s.t.Context(), deployment)).To(Succeed())
		s.t.Cleanup(func() { _ = s.seed.client.Delete(context.WithoutCancel(s.t.Context()), deployment) })
	}
}

// Flux's objects say that all is well, and nothing follows the repository any more.
func TestAControllerHasDied(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, "ssh-ed25519 AAAA")
	seeds[1].startExtension(t, true)
	s := seeds[1].newShoot(t, project, "one")
	s.say(statusOfPrivate)
	s.bring(reference("source.toolkit.fluxcd.io/v1", "GitRepository"), reference("kustomize.toolkit.fluxcd.io/v1", "Kustomization"))
	s.installControllers()
	fetched := map[string]any{"revision": "main@sha1:1", "lastUpdateTime": time.Now().UTC().Format(time.RFC3339)}
	s.flux("GitRepository", map[string]any{"artifact": fetched}, "True", "Succeeded", "stored artifact")
	s.flux("Kustomization", map[string]any{"lastAppliedRevision": "main@sha1:1"}, "True", "ReconciliationSucceeded", "Applied revision: main@sha1:1")
	s.looked()
	s.expectCondition("True", "Applied", "Flux has applied revision main@sha1:1")

	// kustomize-controller can't get what source-controller has, because that has been scaled to 0.
	s.flux("Kustomization", map[string]any{"lastAppliedRevision": "main@sha1:1"}, "False", "ArtifactFailed", "failed to download archive: connection refused")
	stopped := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "source-controller"}}
	s.Expect(s.seed.client.Patch(t.Context(), stopped, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":0}}`)))).To(Succeed())
	s.Expect(s.seed.client.Get(t.Context(), client.ObjectKeyFromObject(stopped), stopped)).To(Succeed())
	stopped.Status.ObservedGeneration = stopped.Generation
	s.Expect(s.seed.client.Status().Update(t.Context(), stopped)).To(Succeed())
	s.looked()
	s.expectCondition("False", "ControllersUnavailable", "kubectl -n flux-system scale deployment source-controller --replicas=1")
	s.Eventually(s.events, timeout).Should(ContainElement(ContainSubstring("Warning ControllersUnavailable the source-controller of Flux does not run")))

	s.Expect(s.seed.client.Patch(t.Context(), stopped, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"replicas":1}}`)))).To(Succeed())
	s.looked()
	s.expectCondition("False", "ArtifactFailed", "can't get that from its source-controller")
}

// What a shoot's admin writes into the shoot has no limits, and neither keeps other shoots of the project from being told.
func TestLongWordsOfAShoot(t *testing.T) {
	project := newProject(t)
	giveKey(t, project, "ssh-ed25519 AAAA")
	seeds[1].startExtension(t, true)
	s := seeds[1].newShoot(t, project, "one")
	s.say(statusOfPrivate)
	s.bring(reference("source.toolkit.fluxcd.io/v1", "GitRepository"), reference("kustomize.toolkit.fluxcd.io/v1", "Kustomization"))
	s.installControllers()
	long := strings.Repeat("x", 1_000_000)
	s.flux("GitRepository", map[string]any{"artifact": map[string]any{"revision": long, "lastUpdateTime": time.Now().UTC().Format(time.RFC3339)}}, "True", "Succeeded", "stored artifact")
	s.flux("Kustomization", map[string]any{"lastAppliedRevision": long}, "True", "ReconciliationSucceeded", "Applied revision: x")
	s.looked()
	s.expectCondition("True", "Applied", "Flux has applied revision xxx")
	s.Expect(len(s.condition(s).Message)).To(BeNumerically("<=", 1024))
	s.Expect(len(s.extension.Status.ProviderStatus.Raw)).To(BeNumerically("<", 2000))
	s.expectLine("True", "Flux has applied revision xxx")
}
