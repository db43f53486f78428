// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// inOrderOfDeletion are the ManagedResources, the configuration before the installation that brings its kinds.
var inOrderOfDeletion = []string{managedresource.Configuration, managedresource.Installation}

// orphanAll deletes all ManagedResources at once but leaves their objects in the shoot.
func (r *reconciliation) orphanAll(ctx context.Context) error {
	if err := r.orphanPredecessor(ctx); err != nil {
		return err
	}
	for _, name := range inOrderOfDeletion {
		if err := managedresource.Orphan(ctx, r.Seed, r.extension.Namespace, name); err != nil {
			return err
		}
	}
	return nil
}

func (r *reconciliation) orphanConfiguration(ctx context.Context) error {
	return r.orphan(ctx, managedresource.Configuration)
}

func (r *reconciliation) orphanInstallation(ctx context.Context) error {
	return r.orphan(ctx, managedresource.Installation)
}

// orphan deletes a ManagedResource but leaves its objects in the shoot, and says so until it is gone.
func (r *reconciliation) orphan(ctx context.Context, name string) error {
	if err := managedresource.Orphan(ctx, r.Seed, r.extension.Namespace, name); err != nil {
		return err
	}
	return r.checkDeleted(ctx, name)
}

// deleteConfiguration deletes ManagedResource Configuration with its objects, and says so until it is gone.
func (r *reconciliation) deleteConfiguration(ctx context.Context) error {
	if err := managedresource.Delete(ctx, r.Seed, r.extension.Namespace, managedresource.Configuration); err != nil {
		return err
	}
	return r.checkDeleted(ctx, managedresource.Configuration)
}

// ensureIgnored makes gardener-resource-manager leave the objects of a ManagedResource, which may be nil, to us, and returns nil once it does.
func (r *reconciliation) ensureIgnored(ctx context.Context, managedResource *resourcesv1alpha1.ManagedResource) error {
	if managedResource == nil {
		return nil
	}
	if err := managedresource.Ignore(ctx, r.Seed, managedResource); err != nil {
		return err
	}
	return requeueSoon(shoot.LastWritten(managedResource), managedresource.CheckIgnored(managedResource))
}
