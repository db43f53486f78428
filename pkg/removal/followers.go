// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// finalizerTimeout is how long Flux has for its part in the deletion of the extension's own objects. It may not run at all.
const finalizerTimeout = time.Minute

// Follows tells whether the shoot has something of what makes Flux follow the project's repository, from the ManagedResource of the
// given name.
func (r Removal) Follows(ctx context.Context, managedResource string) (bool, error) {
	objects, err := r.following(ctx, managedResource)
	return len(objects) > 0, err
}

// DeleteFollowers deletes what makes Flux follow the project's repository, and came from the ManagedResource of the given name, from a shoot whose
// users have a Flux of their own, which runs on. What Flux has deployed stays: the deletion of a Kustomization that is suspended deletes nothing else,
// in every release (package takeover). Nobody else may bring it back meanwhile. It returns what is not gone yet.
func (r Removal) DeleteFollowers(ctx context.Context, managedResource string) (Left, error) {
	objects, err := r.following(ctx, managedResource)
	if err != nil {
		return nil, err
	}
	return r.deleteFollowing(ctx, objects)
}

// DeleteFormer deletes what makes Flux follow something, and came from the ManagedResource of the given name, unless it is wanted. It is for a seed that does
// not know it, because another one has made it. What Flux has deployed stays, as with DeleteFollowers, and so does what Flux may change (render.Protect): it
// is the shoot's users'. Secrets of the shoot's owner stay as well: they have any name, so that a copy which somebody has made looks the same.
//
// It does not wait until all is gone. The error is a *shoot.Unfinished if there is more than can be deleted in a moment.
func (r Removal) DeleteFormer(ctx context.Context, managedResource string, wanted func(client.Object) bool) error {
	objects, err := r.following(ctx, managedResource)
	if err != nil {
		return err
	}
	_, err = r.deleteFollowing(ctx, slices.DeleteFunc(objects, func(object metav1.PartialObjectMetadata) bool {
		return !render.IsProtected(object.Annotations) || object.Kind == secretKind.Kind && object.Labels[render.ManagedByLabel] == render.ManagedBy || wanted(&object)
	}))
	return err
}

func (r Removal) deleteFollowing(ctx context.Context, objects []metav1.PartialObjectMetadata) (Left, error) {
	for i := range objects {
		if err := prepareDeletion(ctx, r.Shoot, &objects[i]); err != nil {
			return nil, err
		}
	}
	deletion := r.newDeletion()
	err := deletion.delete(ctx, objects)
	return deletion.left, err
}

// prepareDeletion suspends a Kustomization before it is deleted, and takes the finalizers off what has been waiting for Flux for too long.
func prepareDeletion(ctx context.Context, c client.Client, object *metav1.PartialObjectMetadata) error {
	if object.Kind == kustomizev1.KustomizationKind && object.DeletionTimestamp == nil {
		suspend := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"suspend":true}}`))
		if err := c.Patch(ctx, object, suspend); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to suspend %s of the shoot: %w", describe(object), err)
		}
	}
	stuck := object.DeletionTimestamp != nil && time.Since(object.DeletionTimestamp.Time) > finalizerTimeout
	if stuck && slices.ContainsFunc(object.Finalizers, flux.IsFinalizer) {
		return dropFinalizers(ctx, c, object)
	}
	return nil
}

// following is what makes Flux follow the project's repository.
func (r Removal) following(ctx context.Context, managedResource string) ([]metav1.PartialObjectMetadata, error) {
	references, err := r.followers(ctx)
	if err != nil {
		return nil, err
	}
	besides, err := r.besides(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := read(ctx, r.Shoot, append(references, besides...))
	return slices.DeleteFunc(objects, func(object metav1.PartialObjectMetadata) bool {
		return !cameFrom(&object, managedResource) && !r.isLeft(&object)
	}), err
}
