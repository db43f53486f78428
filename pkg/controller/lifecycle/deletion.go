// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// deletionCheckInterval is how soon a deletion looks again whether gardener-resource-manager has cleaned up the shoot.
const deletionCheckInterval = 2 * time.Second

// inOrderOfDeletion are the ManagedResources, the configuration before the installation, because a running Flux is needed to
// let go of the configuration.
var inOrderOfDeletion = []string{managedresource.Configuration, managedresource.Installation}

// Delete removes what was installed. When the shoot itself is being deleted, its nodes, and Flux with them, are gone
// already: then the objects are left to go with the shoot. It returns an error that says what it waits for until all is gone.
func (a *Actuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	shoot, err := a.shoot(ctx, ex.Namespace)
	if err != nil {
		return err
	}
	if shoot.DeletionTimestamp != nil {
		return a.release(ctx, ex.Namespace)
	}

	log.Info("Removing Flux from the shoot")
	for _, name := range inOrderOfDeletion {
		if err := managedresource.Delete(ctx, a.Seed, ex.Namespace, name); err != nil {
			return err
		}
		if err := a.checkDeleted(ctx, ex.Namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// ForceDelete forgets the shoot without waiting for anything.
func (a *Actuator) ForceDelete(ctx context.Context, _ logr.Logger, ex *extensionsv1alpha1.Extension) error {
	for _, name := range inOrderOfDeletion {
		if err := managedresource.Release(ctx, a.Seed, ex.Namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// Migrate leaves everything in the shoot as it is for the seed that takes over.
func (a *Actuator) Migrate(ctx context.Context, _ logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.release(ctx, ex.Namespace)
}

// release deletes both ManagedResources but leaves their objects in the shoot.
func (a *Actuator) release(ctx context.Context, namespace string) error {
	for _, name := range inOrderOfDeletion {
		if err := managedresource.Release(ctx, a.Seed, namespace, name); err != nil {
			return err
		}
	}
	for _, name := range inOrderOfDeletion {
		if err := a.checkDeleted(ctx, namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// checkDeleted returns an error that makes the controller come back soon, instead of waiting in its worker.
func (a *Actuator) checkDeleted(ctx context.Context, namespace, name string) error {
	if err := managedresource.CheckDeleted(ctx, a.Seed, namespace, name); err != nil {
		return &reconcilerutils.RequeueAfterError{RequeueAfter: deletionCheckInterval, Cause: err}
	}
	return nil
}
