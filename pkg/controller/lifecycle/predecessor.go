// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// The archived first version of the extension has left two ManagedResources in the seed, and in the shoot a Kustomization with prune. What it has
// deployed must not be lost when another Kustomization takes its place:
//
//  1. the ManagedResources go and their objects stay, so that nobody writes these any more (orphanPredecessor);
//  2. what is noted in the state outlives the predecessor: into which namespace it has deployed (observePredecessor, suspendPredecessor);
//  3. the Kustomization is suspended before the other one is written (suspendPredecessor);
//  4. it is deleted after the other one has deployed the same (deletePredecessor).

// takeoverTime is how long the extension looks again and again whether the repository has been deployed by what takes the predecessor's
// place. After that, it looks when the shoot is reconciled for another reason. A suspended Kustomization does no harm.
const takeoverTime = 5 * time.Minute

// orphanPredecessorOnce deletes what the archived first version of the extension has left, if it has been there. It is asked for once for each
// shoot, and not for a new one, of which no operation has ended yet. Its installation came first and went last.
func (r *reconciliation) orphanPredecessorOnce(ctx context.Context) error {
	isNew, installation := r.extension.Status.ObservedGeneration == 0, r.observed.installation
	if isNew || installation != nil && installation.Labels[managedresource.ProtectedLabel] != "" { // whoever has set the label has done it
		return nil
	}
	if left, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, managedresource.PredecessorInstallation); err != nil || left == nil {
		return err
	}
	return r.orphanPredecessor(ctx)
}

// orphanPredecessor deletes the ManagedResources of the archived first version of the extension, which nobody else does. Their objects stay.
func (r *reconciliation) orphanPredecessor(ctx context.Context) error {
	for _, name := range managedresource.OfPredecessor {
		left, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, name)
		if err != nil {
			return err
		}
		if left == nil || left.DeletionTimestamp != nil {
			continue
		}
		if err := managedresource.Orphan(ctx, r.Seed, r.extension.Namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// observePredecessor looks into the shoot for the predecessor's Kustomization, as long as nothing that follows a repository has been brought there. A new shoot has none.
func (r *reconciliation) observePredecessor(ctx context.Context) error {
	follows := r.desired.Repository != nil || r.desired.Source != nil
	if !follows || r.observed.state.Predecessor || r.extension.Status.ObservedGeneration == 0 || hasAppliedKustomization(r.observed.configuration) {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	r.observed.predecessor, err = takeover.FindPredecessor(ctx, shootClient, r.extension.Namespace)
	if err == nil && r.observed.predecessor != nil {
		r.observed.state.TargetNamespace = r.observed.predecessor.TargetNamespace()
	}
	return err
}

func hasAppliedKustomization(configuration *resourcesv1alpha1.ManagedResource) bool {
	return configuration != nil && slices.ContainsFunc(configuration.Status.Resources, func(reference resourcesv1alpha1.ObjectReference) bool {
		return reference.GroupVersionKind().GroupKind() == flux.Kustomization.GroupKind
	})
}

// suspendPredecessor stops the predecessor's Kustomization before another one deploys the same. What was noted of it is written first: without it, the
// other one would deploy into other namespaces. It is suspended once more if somebody has resumed it.
func (r *reconciliation) suspendPredecessor(ctx context.Context) error {
	isThere := r.observed.predecessor != nil || r.observed.state.Predecessor
	if !isThere || kustomizationAmong(r.desired.objects).Name == "" { // nothing takes its place
		return nil
	}
	for _, name := range managedresource.OfPredecessor { // gardener-resource-manager would resume it
		if err := r.checkDeleted(ctx, name); err != nil {
			return err
		}
	}
	predecessor, err := r.findPredecessor(ctx)
	if err != nil || predecessor == nil {
		return err
	}
	if r.observed.state, err = r.writeState(ctx, func(state *fluxv1alpha1.FluxState) {
		state.Predecessor, state.TargetNamespace = true, r.observed.state.TargetNamespace
	}); err != nil {
		return mustFail(err)
	}
	return predecessor.Suspend(ctx)
}

func (r *reconciliation) findPredecessor(ctx context.Context) (*takeover.Predecessor, error) {
	if r.observed.predecessor != nil {
		return r.observed.predecessor, nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return nil, err
	}
	return takeover.FindPredecessor(ctx, shootClient, r.extension.Namespace)
}

// deletePredecessor deletes the predecessor's Kustomization after another one has deployed what it has deployed.
func (r *reconciliation) deletePredecessor(ctx context.Context) error {
	if !r.observed.state.Predecessor {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	key := kustomizationAmong(r.desired.objects)
	if key.Name == "" && r.observed.state.FollowedOnce == fluxv1alpha1.FollowedOnceMade {
		key = flux.KeyOf(r.observed.state.Kustomization, r.desired.Flux.Namespace)
	}
	if key.Name == "" {
		return nil
	}
	successor, err := takeover.FindSuccessor(ctx, shootClient, key)
	if err != nil {
		return err
	}
	if !successor.HasDeployed() {
		return r.awaitSuccessor(key, successor)
	}
	predecessor, err := takeover.FindPredecessor(ctx, shootClient, r.extension.Namespace)
	if err != nil {
		return err
	}
	if predecessor != nil {
		if err := r.addNotices(ctx, r.describePredecessor(predecessor, key, successor)); err != nil {
			return err
		}
		if err := predecessor.Delete(ctx); apierrors.IsConflict(err) {
			return requeueSoon(time.Now(), err)
		} else if err != nil {
			return err
		}
	}
	_, err = r.writeState(ctx, func(state *fluxv1alpha1.FluxState) { state.Predecessor = false })
	return mustFail(err)
}

// awaitSuccessor makes the controller come back soon, but not for long, and not where Flux says that somebody has to do something.
func (r *reconciliation) awaitSuccessor(key client.ObjectKey, successor *takeover.Successor) error {
	since := time.Now()
	if r.observed.configuration != nil {
		since = r.observed.configuration.CreationTimestamp.Time
	}
	if successor.HasFailed() || time.Since(since) > takeoverTime {
		return nil
	}
	return requeueSoon(since, errors.New("Kustomization "+key.String()+" takes over what the extension's first version has deployed"))
}

// describePredecessor tells people what has become of what the predecessor has left.
func (r *reconciliation) describePredecessor(predecessor *takeover.Predecessor, key client.ObjectKey, successor *takeover.Successor) fluxv1alpha1.Notice {
	message := fmt.Sprintf("Kustomization %s has taken over what Kustomization %s of the extension's first version has deployed, which is deleted", key, predecessor.Key())
	if namespace := r.observed.state.TargetNamespace; namespace != "" {
		message += fmt.Sprintf(". As before, all goes into namespace %s (spec.targetNamespace)", namespace)
	}
	if left := predecessor.CountOnly(successor); left > 0 {
		message += fmt.Sprintf(". What only the first version had deployed stays, and nobody looks after it (objects: %d)", left)
	}
	message += fmt.Sprintf(". GitRepository %s/%s stays, because others may follow it", predecessor.Key().Namespace, takeover.PredecessorsSource)
	return newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeFluxTakenOver, message)
}

// kustomizationAmong returns the name of the Kustomization, or none.
func kustomizationAmong(objects []client.Object) client.ObjectKey {
	for _, object := range objects {
		if object.GetObjectKind().GroupVersionKind().GroupKind() == flux.Kustomization.GroupKind {
			return client.ObjectKeyFromObject(object)
		}
	}
	return client.ObjectKey{}
}
