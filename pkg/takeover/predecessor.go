// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"fmt"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

const (
	// predecessorsRoot is what the archived first version of the extension called its Kustomization.
	predecessorsRoot = "main-ks"
	// PredecessorsSource is what it called its GitRepository. Others may follow that, so it stays.
	PredecessorsSource = "main-gitrepo"
)

// Predecessor is the Kustomization by which the archived first version of the extension deploys the project's repository. It prunes: if it were
// deleted as it is, Flux would delete all that it has deployed. So it is suspended before another Kustomization deploys the same, and deleted,
// still suspended, after that has deployed it.
type Predecessor struct {
	shoot         client.Client
	kustomization *unstructured.Unstructured
}

// FindPredecessor returns the Kustomization, or nil if the shoot has none. The namespace is the shoot's in the seed, and tells it from one of the
// shoot's users.
func FindPredecessor(ctx context.Context, shoot client.Client, namespace string) (*Predecessor, error) {
	found, err := (&inspection{shoot: shoot}).read(ctx, kustomizationKind, client.ObjectKey{Namespace: flux.Namespace, Name: predecessorsRoot})
	if err != nil || found == nil || !managedresource.CameFromPredecessor(found, namespace) {
		return nil, err
	}
	return &Predecessor{shoot: shoot, kustomization: found}, nil
}

// Key is the name of the Kustomization.
func (p *Predecessor) Key() client.ObjectKey {
	return client.ObjectKeyFromObject(p.kustomization)
}

// TargetNamespace is into which namespace it deploys, or empty if the manifests say that.
func (p *Predecessor) TargetNamespace() string {
	namespace, _, _ := unstructured.NestedString(p.kustomization.Object, "spec", "targetNamespace")
	return namespace
}

// Suspend keeps Flux from deploying and from deleting anything by it: if it is deleted while it is suspended, what it has deployed stays. That
// it does not prune says the same once more, for whoever resumes it.
func (p *Predecessor) Suspend(ctx context.Context) error {
	if isSuspendedForTakeover(p.kustomization) || p.kustomization.GetDeletionTimestamp() != nil {
		return nil
	}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"suspend":true,"prune":false}}`))
	if err := p.shoot.Patch(ctx, p.kustomization, patch); err != nil {
		return fmt.Errorf("failed to suspend Kustomization %s of the shoot: %w", p.Key(), err)
	}
	return nil
}

// Delete deletes it, but nothing that it has deployed. An error of a conflict means that somebody has changed it meanwhile.
func (p *Predecessor) Delete(ctx context.Context) error {
	if err := p.Suspend(ctx); err != nil {
		return err
	}
	asSuspended := client.Preconditions{UID: new(p.kustomization.GetUID()), ResourceVersion: new(p.kustomization.GetResourceVersion())}
	if err := client.IgnoreNotFound(p.shoot.Delete(ctx, p.kustomization, asSuspended)); err != nil {
		return fmt.Errorf("failed to delete Kustomization %s of the shoot: %w", p.Key(), err)
	}
	return nil
}

// CountOnly tells how many objects it has deployed that the Kustomization with the other inventory has not.
func (p *Predecessor) CountOnly(successor *Successor) int {
	known := map[string]bool{}
	for _, entry := range successor.entries() {
		known[entry.ID] = true
	}
	count := 0
	for _, entry := range inventory(p.kustomization) {
		if entry, _ := entry.(map[string]any); entry != nil {
			if id, _ := entry["id"].(string); !known[id] {
				count++
			}
		}
	}
	return count
}

// isSuspendedForTakeover tells whether Suspend has been called. A user of the shoot who suspends a Kustomization lets it prune.
func isSuspendedForTakeover(kustomization *unstructured.Unstructured) bool {
	suspended, _, _ := unstructured.NestedBool(kustomization.Object, "spec", "suspend")
	prunes, _, _ := unstructured.NestedBool(kustomization.Object, "spec", "prune")
	return suspended && !prunes
}

// Successor is the Kustomization that deploys what the Predecessor has deployed.
type Successor struct {
	kustomization *kustomizev1.Kustomization
}

// FindSuccessor returns the Kustomization of that name, or nil if the shoot has none yet.
func FindSuccessor(ctx context.Context, shoot client.Client, key client.ObjectKey) (*Successor, error) {
	found, err := (&inspection{shoot: shoot}).read(ctx, kustomizationKind, key)
	if err != nil || found == nil {
		return nil, err
	}
	kustomization := &kustomizev1.Kustomization{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, kustomization); err != nil {
		return nil, fmt.Errorf("Kustomization %s of the shoot has an unknown form: %w", key, err)
	}
	return &Successor{kustomization: kustomization}, nil
}

// HasDeployed tells whether Flux has deployed what it is to deploy now.
func (s *Successor) HasDeployed() bool {
	return s != nil && s.isReady(metav1.ConditionTrue)
}

// HasFailed tells whether somebody has to do something before Flux can deploy it.
func (s *Successor) HasFailed() bool {
	return s != nil && (s.kustomization.Spec.Suspend || s.isReady(metav1.ConditionFalse))
}

func (s *Successor) isReady(status metav1.ConditionStatus) bool {
	ready := apimeta.FindStatusCondition(s.kustomization.Status.Conditions, meta.ReadyCondition)
	return ready != nil && ready.Status == status && s.kustomization.Status.ObservedGeneration == s.kustomization.Generation
}

func (s *Successor) entries() []kustomizev1.ResourceRef {
	if s == nil || s.kustomization.Status.Inventory == nil {
		return nil
	}
	return s.kustomization.Status.Inventory.Entries
}
