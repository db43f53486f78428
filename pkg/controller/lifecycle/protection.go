// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// unprotected returns an installation that belongs to the shoot's users: their repository may upgrade it.
func (i *installation) unprotected() (*installation, error) {
	data, _, err := withProtection(i.data, render.Unprotect)
	return &installation{Installation: i.Installation, data: data, notable: i.notable}, err
}

// protected returns an installation that an older version of the extension has made as this one would.
func (i *installation) protected() (*installation, error) {
	data, _, err := withProtection(i.data, func(object client.Object) bool {
		if render.IsProtected(object.GetAnnotations()) {
			return false
		}
		render.Protect(object)
		return true
	})
	return &installation{Installation: i.Installation, data: data, notable: i.notable}, err
}

// withProtection changes the objects of a ManagedResource, and tells whether there was something to change. If there was not, the data stays
// as it is.
func withProtection(data managedresource.Data, change func(client.Object) bool) (managedresource.Data, bool, error) {
	content, err := data.Objects()
	if err != nil {
		return nil, false, err
	}
	changed := false
	objects := make([]client.Object, len(content))
	for i, object := range content {
		objects[i] = object
		changed = change(object) || changed
	}
	if !changed {
		return data, false, nil
	}
	data, err = managedresource.Serialize(objects)
	return data, true, err
}

// unprotect lets the shoot's users have what a ManagedResource holds: from then on, their repository may change it. It returns an error that
// says what it waits for until that is in the shoot.
func (a *Actuator) unprotect(ctx context.Context, namespace, name string) error {
	managedResource, err := managedresource.Get(ctx, a.Seed, namespace, name)
	if err != nil || managedResource == nil || managedresource.IsIgnored(managedResource) {
		return err
	}
	switch keeps := managedResource.Spec.KeepObjects; {
	case keeps != nil && *keeps: // this has been done, and its release has begun: its Secret may be gone
		return nil
	case len(managedResource.Status.Resources) == 0: // nothing is in the shoot yet, and nobody waits for what may never come
		return nil
	}
	data, err := managedresource.DataOf(ctx, a.Seed, managedResource)
	if err != nil {
		return err
	}
	data, changed, err := withProtection(data, render.Unprotect)
	switch {
	case err != nil:
		return err
	case !changed:
		return soon(lastWritten(managedResource), managedresource.CheckApplied(managedResource))
	}
	if err := managedresource.Apply(ctx, a.Seed, namespace, name, nil, data); err != nil {
		return err
	}
	return soon(time.Now(), fmt.Errorf("what ManagedResource %s/%s holds is given to the shoot's users", namespace, name))
}
