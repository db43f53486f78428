// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// unprotected returns an installation that belongs to the shoot's users: their repository may upgrade it.
func (i *installation) unprotected() (*installation, error) {
	return i.with(render.Unprotect)
}

// protected returns an installation that an older version of the extension has made as this one would.
func (i *installation) protected() (*installation, error) {
	return i.with(func(object client.Object) bool {
		if render.IsProtected(object.GetAnnotations()) {
			return false
		}
		render.Protect(object)
		return true
	})
}

// with returns an installation that is the same but for the protection of its objects.
func (i *installation) with(change func(client.Object) bool) (*installation, error) {
	changed := *i
	var err error
	changed.data, err = withProtection(i.data, change)
	return &changed, err
}

// withProtection changes the objects of a ManagedResource. If there is nothing to change, the data stays as it is.
func withProtection(data managedresource.Data, change func(client.Object) bool) (managedresource.Data, error) {
	content, err := data.Objects()
	if err != nil {
		return nil, err
	}
	changed := false
	objects := make([]client.Object, len(content))
	for i, object := range content {
		objects[i] = object
		changed = change(object) || changed
	}
	if !changed {
		return data, nil
	}
	return managedresource.Serialize(objects)
}

// unprotect lets the shoot's users have what came from a ManagedResource, which the seed may not have: from then on, their repository may
// change it. It is done in the shoot, because the gardener-resource-manager of a shoot in which the extension is switched off does not manage
// Flux's namespace any more.
func (a *Actuator) unprotect(ctx context.Context, namespace, name string, managedResource *resourcesv1alpha1.ManagedResource) error {
	if managedResource != nil && managedResource.DeletionTimestamp != nil { // this has been done, and its Secret may be gone
		return nil
	}
	shootClient, err := shoot.NewClient(ctx, a.Seed, namespace)
	if err != nil {
		return err
	}
	objects, err := a.toUnprotect(ctx, shootClient, name, managedResource)
	if err != nil || len(objects) == 0 { // nothing is in the shoot yet, and nobody waits for what may never come
		return err
	}
	if err := a.quiet(ctx, managedResource); err != nil {
		return err
	}
	return ifUnfinished(explain(removalFrom(shootClient).Unprotect(ctx, objects)))
}

// toUnprotect are the objects of a ManagedResource. If the seed has put none of them into the shoot, another one may have, from which the shoot
// came here, and the shoot is asked.
func (a *Actuator) toUnprotect(ctx context.Context, shootClient client.Client, name string, managedResource *resourcesv1alpha1.ManagedResource) ([]corev1.ObjectReference, error) {
	if hasApplied(managedResource) {
		return a.references().Of(ctx, a.Seed, managedResource)
	}
	found, err := removalFrom(shootClient).Protected(ctx, name)
	return found, explain(err)
}

// hasApplied tells whether gardener-resource-manager has put something of a ManagedResource, which may be nil, into the shoot.
func hasApplied(managedResource *resourcesv1alpha1.ManagedResource) bool {
	return managedResource != nil && len(managedResource.Status.Resources) > 0
}
