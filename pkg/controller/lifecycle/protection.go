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
)

// unprotected returns an installation that belongs to the shoot's users: their repository may upgrade it.
func (r *renderedRelease) unprotected() (*renderedRelease, error) {
	return r.with(render.Unprotect)
}

// protected returns an installation that an older version of the extension has made as this one would.
func (r *renderedRelease) protected() (*renderedRelease, error) {
	return r.with(func(object client.Object) bool {
		if render.IsProtected(object.GetAnnotations()) {
			return false
		}
		render.Protect(object)
		return true
	})
}

// with returns an installation that is the same but for the protection of its objects.
func (r *renderedRelease) with(change func(client.Object) bool) (*renderedRelease, error) {
	changed := *r
	var err error
	changed.data, err = withProtection(r.data, change)
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

func (r *reconciliation) unprotectConfiguration(ctx context.Context) error {
	return r.unprotect(ctx, managedresource.Configuration, r.observed.configuration)
}

// unprotectInstallation leaves alone what is its users' already.
func (r *reconciliation) unprotectInstallation(ctx context.Context) error {
	if r.observed.state.OwnedByUsers {
		return nil
	}
	return r.unprotect(ctx, managedresource.Installation, r.observed.installation)
}

// unprotect lets the shoot's users have what came from a ManagedResource, which the seed may not have: from then on, their repository may
// change it. It is done in the shoot, because the gardener-resource-manager of a shoot in which the extension is switched off does not manage
// Flux's namespace any more.
func (r *reconciliation) unprotect(ctx context.Context, name string, managedResource *resourcesv1alpha1.ManagedResource) error {
	if managedResource != nil && managedResource.DeletionTimestamp != nil { // this has been done, and its Secret may be gone
		return nil
	}
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	// If the seed has put nothing of it into the shoot, another one may have, from which the shoot came here, and the shoot is asked.
	var objects []corev1.ObjectReference
	if hasApplied(managedResource) {
		objects, err = r.references().Of(ctx, r.Seed, managedResource)
	} else {
		objects, err = from.Protected(ctx, name)
		err = explainNoAnswer(err)
	}
	if err != nil || len(objects) == 0 { // nothing is in the shoot yet, and nobody waits for what may never come
		return err
	}
	if err := r.ensureIgnored(ctx, managedResource); err != nil {
		return err
	}
	return requeueUnfinished(explainNoAnswer(from.Unprotect(ctx, objects)))
}
