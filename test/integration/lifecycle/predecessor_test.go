// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// ofPredecessor is what projects of the archived first version of the extension have in their ConfigMap, and of which this one reads the same.
var ofPredecessor = map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots", "repositoryBranch": "main", "repositoryType": "public"}

// predecessor makes what the archived first version of the extension has left, in the seed and in the shoot. Its ManagedResources brought the objects. What
// Flux does with them is in test/landscape/fluxcontrollers.
func (l *living) predecessor() (gitRepository, root *unstructured.Unstructured) {
	l.upgradeByUsers("v2.6.4")
	gitRepository = fluxObject("GitRepository", "main-gitrepo", map[string]any{"interval": "30s", "url": "https://git.example.com/fleet/shoots", "ref": map[string]any{"branch": "main"}})
	root = fluxObject("Kustomization", "main-ks", map[string]any{
		"interval": "5m0s", "path": "./", "prune": true, "targetNamespace": "default", "sourceRef": map[string]any{"kind": "GitRepository", "name": "main-gitrepo"},
	})
	data, err := managedresource.Serialize([]client.Object{gitRepository, root})
	l.Expect(err).NotTo(HaveOccurred())
	for name, data := range map[string]managedresource.Data{"extension-shoot-flux-flux-config": data, "extension-shoot-flux-flux-install": {"flux-install-yaml": nil}} {
		l.Expect(managedresources.CreateForShoot(l.ctx, shared.seedClient, l.control, name, "shoot-flux", true, data)).To(Succeed())
	}
	for _, object := range []*unstructured.Unstructured{gitRepository, root} {
		l.Eventually(func() error { return l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object) }, timeout).Should(Succeed())
	}
	l.deployBy(root, "_old-namespace__Namespace", "default_shop__ConfigMap")
	install := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: l.control, Name: "extension-shoot-flux-flux-install"}}
	l.Expect(shared.seedClient.Patch(l.ctx, install, client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"resources.gardener.cloud/ignore":"true"}}}`)))).To(Succeed())
	return gitRepository, root
}

// reconciledByPredecessor makes the Extension that the predecessor has left.
func (l *living) reconciledByPredecessor() {
	if err := shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), l.extension); apierrors.IsNotFound(err) {
		// The controller would reconcile it as new, at any time from now on, if it were not to wait.
		l.extension.Annotations = map[string]string{v1beta1constants.GardenerOperation: v1beta1constants.GardenerOperationWaitForState}
		l.Expect(shared.seedClient.Create(l.ctx, l.extension)).To(Succeed())
	}
	l.Eventually(func(g Gomega) {
		g.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), l.extension)).To(Succeed())
		l.extension.Status.ObservedGeneration = l.extension.Generation
		l.extension.Status.LastOperation = &gardencorev1beta1.LastOperation{
			Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateSucceeded, Progress: 100, LastUpdateTime: metav1.Now(),
		}
		g.Expect(shared.seedClient.Status().Update(l.ctx, l.extension)).To(Succeed())
	}, timeout).Should(Succeed())
}

// deployBy writes the status of a Kustomization as kustomize-controller does that has deployed objects.
func (l *living) deployBy(root *unstructured.Unstructured, inventory ...string) {
	entries := []any{}
	for _, id := range inventory {
		entries = append(entries, map[string]any{"id": id, "v": "v1"})
	}
	l.writeStatus(root, map[string]any{
		"inventory":  map[string]any{"entries": entries},
		"conditions": []any{map[string]any{"type": "Ready", "status": "True", "reason": "ReconciliationSucceeded", "message": "Applied", "lastTransitionTime": "2026-01-01T00:00:00Z"}},
	})
}

// writeStatus writes the status of a Kustomization as kustomize-controller does that has seen it.
func (l *living) writeStatus(root *unstructured.Unstructured, status map[string]any) {
	l.Eventually(func(g Gomega) { // gardener-resource-manager may write at the same time
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		status["observedGeneration"] = root.GetGeneration()
		root.Object["status"] = status
		g.Expect(l.client.Status().Update(l.ctx, root)).To(Succeed())
	}, timeout).Should(Succeed())
}

// expectSafe checks what must hold at any moment: what takes the predecessor's place is not there while Flux deploys by the predecessor's, deploys into
// the same namespace, and the predecessor's does not go while it could take something along, nor before the other one has deployed.
func (l *living) expectSafe(g Gomega) {
	successor, root := fluxObject("Kustomization", "flux-system", nil), fluxObject("Kustomization", "main-ks", nil)
	exists := l.client.Get(l.ctx, client.ObjectKeyFromObject(successor), successor) == nil
	left := l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root) == nil
	if exists {
		g.Expect(successor.Object["spec"]).To(HaveKeyWithValue("targetNamespace", "default"))
	}
	if left && (exists || root.GetDeletionTimestamp() != nil) {
		g.Expect(root.Object["spec"]).To(And(HaveKeyWithValue("suspend", true), HaveKeyWithValue("prune", false)))
	}
	if !left {
		g.Expect(exists).To(BeTrue())
		g.Expect(successor.Object["status"]).To(HaveKey("inventory"))
	}
}

func TestTakeoverOfThePredecessor(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	gitRepository, root := l.predecessor()
	l.reconciledByPredecessor()
	l.reconcileWith(ofPredecessor)
	l.expectProblem(fluxv1alpha1.UnderWay, "Kustomization flux-system/flux-system takes over what the extension's first version has deployed")
	l.Eventually(l.expectNothingOfPredecessor, timeout).Should(Succeed())
	successor := fluxObject("Kustomization", "flux-system", nil)
	l.Eventually(func() error { return l.client.Get(l.ctx, client.ObjectKeyFromObject(successor), successor) }, timeout).Should(Succeed())
	l.expectSafe(l)
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
	l.Expect(l.state()).To(And(HaveField("Predecessor", true), HaveField("TargetNamespace", "default")))

	l.deployBy(successor, "default_shop__ConfigMap")
	l.Eventually(l.isGoneInShoot(root), timeout).Should(BeTrue())
	l.expectNoProblem()
	l.expectVersion(newest)
	l.expectEvent("FluxTakenOver", "Kustomization flux-system/flux-system has taken over what Kustomization flux-system/main-ks of the extension's first version has deployed, which is deleted. "+
		"As before, all goes into namespace default (spec.targetNamespace). What only the first version had deployed stays, and nobody looks after it (objects: 1). "+
		"GitRepository flux-system/main-gitrepo stays, because others may follow it")
	l.Expect(l.state()).To(And(HaveField("Predecessor", false), HaveField("TargetNamespace", "default")))
	l.Expect(l.exists(gitRepository)).To(BeTrue())

	// Nothing forgets where it deploys to.
	l.reconcileWith(with(ofPredecessor, "repositoryBranch", "next"))
	l.Eventually(func(g Gomega) {
		source := fluxObject("GitRepository", "flux-system", nil)
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(source), source)).To(Succeed())
		g.Expect(source.Object["spec"]).To(HaveKeyWithValue("ref", HaveKeyWithValue("branch", "next")))
	}, timeout).Should(Succeed())
	l.expectNoProblem()
	l.expectNoChangedFields(l)
	l.expectSafe(l)
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(successor), successor)).To(Succeed())
	l.Expect(render.IsProtected(successor.GetAnnotations())).To(BeTrue())
}

func (l *living) isGoneInShoot(object client.Object) func() bool {
	return func() bool {
		return apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object.DeepCopyObject().(client.Object)))
	}
}

// TestTakeoverOfThePredecessorWithInterruptions kills the extension at each of its writes, and each time the shoot moves to another seed.
func TestTakeoverOfThePredecessorWithInterruptions(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	_, root := l.predecessor()
	i := &interruptions{}
	actuator := l.newInterrupted(t, i)
	l.reconciledByPredecessor()
	l.configure(ofPredecessor)
	successor, deployed := fluxObject("Kustomization", "flux-system", nil), false
	l.Eventually(func(g Gomega) {
		i.live()
		err := l.reconcileOnce(actuator)
		l.expectSafe(l)
		if i.died() && l.state().FluxVersion != "" {
			l.moveInterrupted()
		}
		if !deployed && l.client.Get(l.ctx, client.ObjectKeyFromObject(successor), successor) == nil {
			l.expectSafe(l)
			l.deployBy(successor, "default_shop__ConfigMap")
			deployed = true
		}
		g.Expect(i.died()).To(BeFalse(), "%v", err)
		g.Expect(err).NotTo(HaveOccurred())
	}, 2*timeout).Should(Succeed())
	t.Logf("interrupted %d times", i.next-1)
	l.Expect(i.next).To(BeNumerically(">", 6), "it writes more often than that")
	l.Eventually(l.isGoneInShoot(root), timeout).Should(BeTrue())
	l.Expect(l.state()).To(And(HaveField("Predecessor", false), HaveField("TargetNamespace", "default")))
	l.Eventually(l.expectNothingOfPredecessor, timeout).Should(Succeed())
}

// TestPredecessorStaysUntilFluxDeploys has a repository that Flux can't read. What the predecessor has deployed stays, and so does its Kustomization, which nobody is told to wait for.
func TestPredecessorStaysUntilFluxDeploys(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	_, root := l.predecessor()
	l.reconciledByPredecessor()
	l.reconcileWith(ofPredecessor)
	successor := fluxObject("Kustomization", "flux-system", nil)
	l.Eventually(func() error { return l.client.Get(l.ctx, client.ObjectKeyFromObject(successor), successor) }, timeout).Should(Succeed())
	l.writeStatus(successor, map[string]any{
		"conditions": []any{map[string]any{"type": "Ready", "status": "False", "reason": "ArtifactFailed", "message": "Source artifact not found", "lastTransitionTime": "2026-01-01T00:00:00Z"}},
	})
	l.expectNoProblem()
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
	l.Expect(root.GetDeletionTimestamp()).To(BeNil())

	// Somebody resumes it, and it does not fight.
	resume := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":false}}`))
	l.Expect(l.client.Patch(l.ctx, root, resume)).To(Succeed())
	l.operate("reconcile")
	l.Eventually(func(g Gomega) {
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
		g.Expect(root.Object["spec"]).To(And(HaveKeyWithValue("suspend", true), HaveKeyWithValue("prune", false)))
	}, timeout).Should(Succeed())
	l.expectSuccess()
}

// TestPredecessorThatDeploysOtherwise is left alone: what its users have added to its Kustomization would go.
func TestPredecessorThatDeploysOtherwise(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct{ change, field string }{
		"substitutes": {`{"spec":{"postBuild":{"substitute":{"a":"b"}}}}`, "spec.postBuild"},
		"suspended":   {`{"spec":{"suspend":true}}`, "spec.suspend"},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			_, root := l.predecessor()
			// gardener-resource-manager would take it back.
			l.Expect(managedresource.Orphan(l.ctx, shared.seedClient, l.control, "extension-shoot-flux-flux-config")).To(Succeed())
			l.Eventually(func() (*resourcesv1alpha1.ManagedResource, error) {
				return managedresource.Get(l.ctx, shared.seedClient, l.control, "extension-shoot-flux-flux-config")
			}, timeout).Should(BeNil())
			l.Expect(l.client.Patch(l.ctx, root, client.RawPatch("application/merge-patch+json", []byte(tc.change)))).To(Succeed())
			l.reconciledByPredecessor()
			l.reconcileWith(ofPredecessor)
			l.expectFailure(fmt.Sprintf("Kustomization flux-system/main-ks of the extension's first version deploys the repository too, with %s that would go", tc.field))
			l.Eventually(l.expectNothingOfPredecessor, timeout).Should(Succeed())
			l.expectUnchanged(root)
			l.expectNothingInSeed()

			l.handOver(root)
			l.expectSuccess()
			l.expectFollowed()
			l.expectVersion(newest)
		})
	}
}

func (l *living) expectNothingOfPredecessor(g Gomega) {
	for _, name := range managedresource.OfPredecessor {
		g.Expect(managedresource.Get(l.ctx, shared.seedClient, l.control, name)).To(BeNil(), name)
	}
}

// TestDeletionOfThePredecessor shows that what the first version left in the seed does not stop Gardener from deleting a Shoot.
func TestDeletionOfThePredecessor(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*living){
		"deletion of the shoot": func(l *living) {
			l.object.DeletionTimestamp = new(metav1.Now())
			l.syncCluster()
			l.switchOff()
		},
		"switched off": func(l *living) { l.switchOff() },
		"migration": func(l *living) {
			l.operate("migrate")
			l.expectSuccess()
			l.Expect(client.IgnoreNotFound(shared.seedClient.Delete(l.ctx, l.extension))).To(Succeed())
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			l.object.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
			l.syncCluster()
			l.operate("reconcile") // does nothing in a shoot that sleeps
			l.expectSuccess()
			l.object.Spec.Hibernation = nil
			l.syncCluster()
			_, root := l.predecessor()
			leave(l)
			l.expectSwitchedOff()
			l.Eventually(l.expectNothingOfPredecessor, timeout).Should(Succeed())
			l.expectUnchanged(root)
		})
	}
}
