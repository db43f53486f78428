// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// unprotected returns an installation that belongs to the shoot's users: their repository may upgrade it.
func (i *installation) unprotected() (*installation, error) {
	data, err := withProtection(i.data, render.Unprotect)
	return &installation{Installation: i.Installation, data: data, notable: i.notable}, err
}

// protected returns an installation that an older version of the extension has made as this one would.
func (i *installation) protected() (*installation, error) {
	data, err := withProtection(i.data, func(object client.Object) bool {
		if render.IsProtected(object.GetAnnotations()) {
			return false
		}
		render.Protect(object)
		return true
	})
	return &installation{Installation: i.Installation, data: data, notable: i.notable}, err
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

// unprotect lets the shoot's users have what a ManagedResource holds: from then on, their repository may change it. It is done in the shoot,
// because the gardener-resource-manager of a shoot in which the extension is switched off does not manage Flux's namespace any more.
func (a *Actuator) unprotect(ctx context.Context, managedResource *resourcesv1alpha1.ManagedResource) error {
	switch keeps := managedResource.Spec.KeepObjects; {
	case keeps != nil && *keeps: // this has been done, and its release has begun: its Secret may be gone
		return nil
	case len(managedResource.Status.Resources) == 0: // nothing is in the shoot yet, and nobody waits for what may never come
		return nil
	}
	if err := a.quiet(ctx, managedResource); err != nil {
		return err
	}
	applied, err := managedresource.Objects(ctx, a.Seed, managedResource)
	if err != nil {
		return err
	}
	shootClient, err := shoot.NewClient(ctx, a.Seed, managedResource.Namespace)
	if err != nil {
		return err
	}
	return ifUnfinished(explain(removal.Unprotect(ctx, shootClient, applied)))
}
