// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover_test

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

const predecessorsRoot = "{path: ./, prune: true, interval: 5m, targetNamespace: default, sourceRef: {kind: GitRepository, name: main-gitrepo}}"

func find(t *testing.T, shoot client.Client) *takeover.Predecessor {
	t.Helper()
	found, err := takeover.FindPredecessor(t.Context(), shoot, control)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return found
}

func TestFindPredecessor(t *testing.T) {
	g := NewWithT(t)
	g.Expect(find(t, newShoot())).To(BeNil())
	g.Expect(find(t, newShoot(kustomization("main-ks", predecessorsRoot)))).To(BeNil(), "somebody's")
	g.Expect(find(t, newShoot(from(kustomization("main-ks", predecessorsRoot), seed+"shoot--local--two/extension-shoot-flux-flux-config")))).To(BeNil(), "another shoot's")
	g.Expect(find(t, newShoot(from(kustomization("main-ks", predecessorsRoot), ours)))).To(BeNil(), "the extension's own")
	found := find(t, newShoot(from(kustomization("main-ks", predecessorsRoot), predecessors)))
	g.Expect(found.TargetNamespace()).To(Equal("default"))
	g.Expect(found.Key()).To(Equal(client.ObjectKey{Namespace: "flux-system", Name: "main-ks"}))
}

// TestDeleteSuspends: it is never deleted as long as Flux could prune, also if somebody resumes it at that moment.
func TestDeleteSuspends(t *testing.T) {
	g := NewWithT(t)
	shoot := newShoot(from(kustomization("main-ks", predecessorsRoot), predecessors))
	predecessor := find(t, shoot)
	g.Expect(predecessor.Suspend(t.Context())).To(Succeed())
	left := kustomization("main-ks", "{}")
	g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(left), left)).To(Succeed())
	g.Expect(left.Object["spec"]).To(And(HaveKeyWithValue("suspend", true), HaveKeyWithValue("prune", false), HaveKeyWithValue("targetNamespace", "default")))
	version := left.GetResourceVersion()
	g.Expect(predecessor.Suspend(t.Context())).To(Succeed())
	g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(left), left)).To(Succeed())
	g.Expect(left.GetResourceVersion()).To(Equal(version), "nothing is written twice")

	resume := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":false,"prune":true}}`))
	g.Expect(shoot.Patch(t.Context(), left, resume)).To(Succeed())
	g.Expect(predecessor.Delete(t.Context())).To(Satisfy(apierrors.IsConflict))
	g.Expect(find(t, shoot).Delete(t.Context())).To(Succeed())
	g.Expect(find(t, shoot)).To(BeNil())
	g.Expect(predecessor.Delete(t.Context())).To(Succeed(), "it is gone")
}

func TestPredecessorSaysWhatCouldNotBeDone(t *testing.T) {
	g := NewWithT(t)
	broken := interceptor.NewClient(newShoot(from(kustomization("main-ks", predecessorsRoot), predecessors)), interceptor.Funcs{
		Patch: func(context.Context, client.WithWatch, client.Object, client.Patch, ...client.PatchOption) error {
			return errors.New("out of order")
		},
	})
	g.Expect(find(t, broken).Delete(t.Context())).To(MatchError("failed to suspend Kustomization flux-system/main-ks of the shoot: out of order"))
}

func successorOf(t *testing.T, root *unstructured.Unstructured) *takeover.Successor {
	t.Helper()
	found, err := takeover.FindSuccessor(t.Context(), newShoot(root), client.ObjectKeyFromObject(root))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return found
}

func TestSuccessor(t *testing.T) {
	with := func(ready string, observed int64) *unstructured.Unstructured {
		successor := kustomization("flux-system", root, "default_a__ConfigMap")
		successor.SetGeneration(2)
		status := successor.Object["status"].(map[string]any)
		status["observedGeneration"] = observed
		status["conditions"] = []any{map[string]any{"type": "Ready", "status": ready, "reason": "x", "message": "y", "lastTransitionTime": "2026-01-01T00:00:00Z"}}
		return successor
	}
	suspended := with("True", 1)
	suspended.Object["spec"].(map[string]any)["suspend"] = true
	for name, tc := range map[string]struct {
		root             *unstructured.Unstructured
		deployed, failed bool
	}{
		"new":                   {root: kustomization("flux-system", root)},
		"deployed":              {root: with("True", 2), deployed: true},
		"deployed what was":     {root: with("True", 1)},
		"at work":               {root: with("Unknown", 2)},
		"failed":                {root: with("False", 2), failed: true},
		"failed with what was":  {root: with("False", 1)},
		"suspended by somebody": {root: suspended, failed: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			successor := successorOf(t, tc.root)
			g.Expect(successor.HasDeployed()).To(Equal(tc.deployed))
			g.Expect(successor.HasFailed()).To(Equal(tc.failed))
		})
	}
	g := NewWithT(t)
	none, err := takeover.FindSuccessor(t.Context(), newShoot(), client.ObjectKey{Namespace: "flux-system", Name: "flux-system"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(none.HasDeployed()).To(BeFalse())
	g.Expect(none.HasFailed()).To(BeFalse())

	predecessor := find(t, newShoot(from(kustomization("main-ks", predecessorsRoot, "default_a__ConfigMap", "default_b__ConfigMap"), predecessors)))
	g.Expect(predecessor.CountOnly(successorOf(t, with("True", 2)))).To(Equal(1))
	g.Expect(predecessor.CountOnly(none)).To(Equal(2))
}
