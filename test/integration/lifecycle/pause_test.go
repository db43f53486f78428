// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"encoding/base64"
	"math"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	fluxssh "github.com/fluxcd/pkg/ssh"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/extensions"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// pause lets time pass.
func (s *shoot) pause(d time.Duration) {
	select {
	case <-time.After(d):
	case <-s.ctx.Done():
	}
}

// writes returns the writes to the seed in the time that retries and changes of a configuration take.
func (s *shoot) writes() []string {
	shared.requests.take(s.control)
	s.pause(4 * time.Second)
	return shared.requests.take(s.control)
}

// settle waits until nothing is under way any more. The extension hears of a ConfigMap in the garden, of a Cluster and of an Extension by separate watches:
// it may hear of one long after the others, and reconcile once more then, when it has done what others ask for. And what it has begun, it ends.
func (s *shoot) settle() {
	s.Eventually(func(g Gomega) {
		g.Expect(waitingConfigurations()).To(BeZero())
		g.Expect(s.writes()).To(BeEmpty())
		g.Expect(waitingConfigurations()).To(BeZero())
		state, description := s.lastOperation(g)
		g.Expect(state).NotTo(Equal(gardencorev1beta1.LastOperationStateProcessing), description)
		status := fluxv1alpha1.StatusOf(s.extension)
		g.Expect(status.UnreportedNotices()).To(BeEmpty(), "they are still reported")
	}, timeout).Should(Succeed(), "nothing is under way")
}

// waitingConfigurations counts the shoots of all tests that wait for the controller because of a changed configuration.
func waitingConfigurations() (waiting float64) {
	families, err := runtimemetrics.Registry.Gather()
	if err != nil {
		return math.Inf(1)
	}
	for _, family := range families {
		if family.GetName() != "workqueue_depth" {
			continue
		}
		for _, metric := range family.GetMetric() {
			labels := map[string]string{}
			for _, label := range metric.GetLabel() {
				labels[label.GetName()] = label.GetValue()
			}
			if labels["controller"] == lifecycle.Type+"-lifecycle" && labels["priority"] == strconv.Itoa(handler.LowPriority) {
				waiting += metric.GetGauge().GetValue()
			}
		}
	}
	return waiting
}

// newWaking is a shoot that has a configuration, and that wakes up: gardenlet has asked for it once more, and does not say yet that it is awake.
func newWaking(t *testing.T, configuration map[string]string) *shoot {
	s := newShoot(t, targetNamespace)
	s.configure(configuration)
	s.operate("reconcile")
	s.expectSuccess()
	s.object.Status.IsHibernated = true
	s.syncCluster()
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	return s
}

// TestAChangeWhileTheShootWakesUp changes the configuration after gardenlet has asked for the Extension, and before it says that the
// shoot is awake.
func TestAChangeWhileTheShootWakesUp(t *testing.T) {
	t.Parallel()
	s := newWaking(t, publicRepository)
	changed := with(publicRepository, "repositoryBranch", "next")
	s.configure(changed)
	s.Expect(s.writes()).To(BeEmpty())
	s.object.Status.IsHibernated = false
	s.syncCluster()
	s.Eventually(func(g Gomega) { g.Expect(s.digest(g)).To(Equal(digestOf(s, changed))) }, timeout).Should(Succeed())
	s.expectSuccess()

	// Nothing is done twice: a shoot that gardenlet has brought up to date meanwhile is left alone.
	s.object.Status.IsHibernated = true
	s.syncCluster()
	s.settle()
	s.configure(publicRepository)
	s.Expect(s.writes()).To(BeEmpty())
	s.operate("reconcile")
	s.Eventually(func(g Gomega) { g.Expect(s.digest(g)).To(Equal(digestOf(s, publicRepository))) }, timeout).Should(Succeed())
	s.settle()
	s.object.Status.IsHibernated = false
	s.syncCluster()
	s.Expect(s.writes()).To(BeEmpty())
}

// TestASecretWhileTheShootWakesUp changes the project's Secret after gardenlet has asked for the shoot, and before the shoot is awake.
func TestASecretWhileTheShootWakesUp(t *testing.T) {
	t.Parallel()
	s := newWaking(t, privateRepository)
	key := client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}
	pair, err := fluxssh.GenerateKeyPair(fluxssh.ECDSA_P256)
	s.Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, key, secret)).To(Succeed())
	secret.Data["identity"], secret.Data["identity.pub"] = pair.PrivateKey, pair.PublicKey
	s.Expect(shared.gardenClient.Update(s.ctx, secret)).To(Succeed())
	s.Expect(s.writes()).To(BeEmpty())
	s.object.Status.IsHibernated = false
	s.syncCluster()
	s.Eventually(func(g Gomega) {
		g.Expect(s.sourceSecret(g)).To(HaveKeyWithValue("identity", base64.StdEncoding.EncodeToString(pair.PrivateKey)))
	}, timeout).Should(Succeed())
	s.expectSuccess()
}

// TestAShootIsLeftAlone changes the configuration of a shoot, and lets a problem last, while Gardener is to leave the shoot alone.
func TestAShootIsLeftAlone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		pause, goOn func(*shoot)
		// timeout is how long it takes to go on.
		timeout time.Duration
	}{
		"the shoot is ignored": {
			func(s *shoot) { s.annotateShoot(map[string]string{"shoot.gardener.cloud/ignore": "true"}) },
			func(s *shoot) { s.annotateShoot(nil) },
			timeout,
		},
		"the seed is stopped": {
			func(s *shoot) {
				s.annotateSeed(map[string]string{"shoot.gardener.cloud/emergency-stop-reconciliations": "true"})
			},
			func(s *shoot) { s.annotateSeed(nil) },
			2 * timeout,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShoot(t, targetNamespace)
			s.configure(publicRepository)
			s.operate("reconcile")
			s.expectSuccess()
			s.configure(map[string]string{"fluxVersion": "newest"})
			s.expectProblem(fluxv1alpha1.NotAsConfigured, "fluxVersion")

			tc.pause(s)
			s.settle()
			s.configure(with(publicRepository, "repositoryBranch", "next"))
			s.Expect(s.writes()).To(BeEmpty())
			s.expectProblem(fluxv1alpha1.NotAsConfigured, "fluxVersion")
			tc.goOn(s)
			s.Eventually(func(g Gomega) {
				s.lastOperation(g)
				g.Expect(s.status(g).Problem).To(BeNil())
			}, tc.timeout).Should(Succeed())
			s.Expect(s.digest(s)).To(Equal(digestOf(s, with(publicRepository, "repositoryBranch", "next"))))
		})
	}
}

// TestAShootThatFailsIsLeftAlone has nothing yet, so that the controller's own retries are meant.
func TestAShootThatFailsIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.operate("reconcile")
	s.expectFailure("flux-config does not exist in the garden")
	s.annotateShoot(map[string]string{"shoot.gardener.cloud/ignore": "true"})
	s.settle()
	s.configure(publicRepository)
	s.Expect(s.writes()).To(BeEmpty())

	s.operate("reconcile") // gardenlet is asked to
	s.expectSuccess()
}

// TestADeletionIsNotLeftAlone deletes what gardenlet, which by default does not heed the annotation, waits for.
func TestADeletionIsNotLeftAlone(t *testing.T) {
	t.Parallel()
	notYet := "gardener-resource-manager has not yet taken note"
	for name, delete := range map[string]func(*shoot){
		"switched off": func(s *shoot) {
			s.switchOff()
			s.expectFailure(notYet)
			s.takeNote(managedresource.Installation)
		},
		"the shoot is deleted": func(s *shoot) {
			s.beginDeletion(gardencorev1beta1.LastOperationTypeDelete)
			s.expectFailure(notYet) // Flux is stopped before the Extension goes
			s.switchOff()
		},
		"the shoot is deleted by force": func(s *shoot) {
			s.object.Annotations["confirmation.gardener.cloud/force-deletion"] = "true"
			s.giveAccess(unreachable)
			s.beginDeletion(gardencorev1beta1.LastOperationTypeDelete)
			s.switchOff()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShoot(t, targetNamespace)
			s.configure(publicRepository)
			s.operate("reconcile")
			s.expectSuccess()
			s.annotateShoot(map[string]string{"shoot.gardener.cloud/ignore": "true"})
			delete(s)
			s.expectSwitchedOff()
			s.expectNothingInSeed()
		})
	}
}

// TestAShootThatIsNotDeletedYetIsLeftAlone has a gardenlet that heeds the annotation: the owner has deleted the Shoot, and gardenlet does
// not begin with it.
func TestAShootThatIsNotDeletedYetIsLeftAlone(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.annotateShoot(map[string]string{"shoot.gardener.cloud/ignore": "true"})
	s.settle()
	s.beginDeletion(gardencorev1beta1.LastOperationTypeReconcile)
	s.Expect(s.writes()).To(BeEmpty())
}

// beginDeletion is what the seed knows of a Shoot that its owner has deleted, with what gardenlet last did.
func (s *shoot) beginDeletion(last gardencorev1beta1.LastOperationType) {
	s.object.DeletionTimestamp = new(metav1.Now())
	s.object.Status.LastOperation = &gardencorev1beta1.LastOperation{Type: last, State: gardencorev1beta1.LastOperationStateProcessing}
	s.syncCluster()
}

func (s *shoot) annotateShoot(annotations map[string]string) {
	s.object.Annotations = annotations
	s.syncCluster()
}

func (s *shoot) annotateSeed(annotations map[string]string) {
	seed := &gardencorev1beta1.Seed{}
	seed.Annotations = annotations
	s.Expect(extensions.SyncClusterResourceToSeed(s.ctx, shared.seedClient, s.control, s.object, &gardencorev1beta1.CloudProfile{}, seed)).To(Succeed())
}
