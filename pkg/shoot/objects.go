// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pageSize bounds the memory that a shoot with many objects takes.
	pageSize = 500
	// parallelVisits is how many objects are visited at the same time.
	parallelVisits = 8
)

// ForEachObject visits all objects of a kind in all namespaces, with their metadata only, several at the same time. It stops
// at the first error of a visit and returns it.
func ForEachObject(ctx context.Context, reader client.Reader, gvk schema.GroupVersionKind, visit func(context.Context, *metav1.PartialObjectMetadata) error) error {
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(gvk)
	for page := true; page; page = objects.Continue != "" {
		if err := reader.List(ctx, objects, client.Limit(pageSize), client.Continue(objects.Continue)); err != nil {
			return fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", gvk.Kind, err)
		}
		group, groupContext := errgroup.WithContext(ctx)
		group.SetLimit(parallelVisits)
		for i := range objects.Items {
			object := &objects.Items[i]
			object.SetGroupVersionKind(gvk)
			group.Go(func() error { return visit(groupContext, object) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	return nil
}
