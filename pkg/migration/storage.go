// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pageSize bounds the memory that a shoot with many objects takes.
	pageSize = 500
	// parallelWrites is how many objects are stored anew at the same time.
	parallelWrites = 8
)

// storeAnew makes the API server write each object of a definition once more, which it does in the version that is the
// storage version now, and then forget the other versions.
func storeAnew(ctx context.Context, shoot client.Client, definition *apiextensionsv1.CustomResourceDefinition) error {
	gvk := schema.GroupVersionKind{Group: definition.Spec.Group, Version: storageVersion(definition), Kind: definition.Spec.Names.Kind}
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(gvk)
	for page := true; page; page = objects.Continue != "" {
		if err := shoot.List(ctx, objects, client.Limit(pageSize), client.Continue(objects.Continue)); err != nil {
			return fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", gvk.Kind, err)
		}
		group, groupContext := errgroup.WithContext(ctx)
		group.SetLimit(parallelWrites)
		for i := range objects.Items {
			object := &objects.Items[i]
			object.SetGroupVersionKind(gvk)
			group.Go(func() error { return rewrite(groupContext, shoot, object) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}

	base := definition.DeepCopy()
	definition.Status.StoredVersions = []string{gvk.Version}
	patch := client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{})
	if err := shoot.Status().Patch(ctx, definition, patch); err != nil {
		return fmt.Errorf("failed to note in CustomResourceDefinition %s of the shoot that all its objects are stored in version %s: %w", definition.Name, gvk.Version, err)
	}
	return nil
}

// rewrite writes an object as it is, status included. Its managed fields get the version too: an API server ignores those
// of a version that it does not know any more, and whoever applies the object would then no longer own what it has set.
func rewrite(ctx context.Context, shoot client.Client, object *metav1.PartialObjectMetadata) error {
	version := object.APIVersion
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		base := object.DeepCopy()
		for i := range object.ManagedFields {
			object.ManagedFields[i].APIVersion = version
		}
		err := shoot.Patch(ctx, object, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			if err := shoot.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
		}
		return err
	})
	if client.IgnoreNotFound(err) != nil { // an object that has just been deleted needs nothing
		return fmt.Errorf("failed to store %s %s of the shoot in version %s, without which Flux can't be upgraded: %w", object.Kind, client.ObjectKeyFromObject(object), version, err)
	}
	return nil
}
