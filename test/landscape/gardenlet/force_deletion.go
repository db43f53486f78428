// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"

	"github.com/gardener/gardener/pkg/gardenlet/controller/shoot/shoot"
	"github.com/gardener/gardener/pkg/utils/gardener/shootstate"
)

// forceDelete is gardenlet's flow for a Shoot that its owner gives up (reconciler_force_delete.go): it needs nothing of the shoot.
func (o *operation) forceDelete(ctx context.Context) error {
	cleaner := shoot.NewCleaner(o.Logger, o.SeedClientSet.Client(), o.GardenClient, o.Shoot.ControlPlaneNamespace)
	t := o.newTasks("Shoot cluster force deletion")
	t.addRepeated("Deleting extension resources", cleaner.DeleteExtensionObjects)
	t.add("Waiting until extension resources have been deleted", cleaner.WaitUntilExtensionObjectsDeleted)
	t.addRepeated("Configuring managed resources to not keep their objects when deleted", cleaner.SetKeepObjectsForManagedResources)
	t.addRepeated("Deleting managed resources", cleaner.DeleteManagedResources)
	t.add("Waiting until managed resources have been deleted", cleaner.WaitUntilManagedResourcesDeleted)
	t.addRepeated("Deleting Cluster resource", cleaner.DeleteCluster)
	t.addRepeated("Deleting Etcd resources", o.hook(o.options.DeleteShootCluster))
	t.addRepeated("Deleting Kubernetes resources", cleaner.DeleteKubernetesResources)
	t.addRepeated("Deleting shoot namespace", o.DeleteSeedNamespace)
	t.add("Waiting until shoot namespace has been deleted", o.WaitUntilSeedNamespaceDeleted)
	t.addRepeated("Deleting Shoot State", func(ctx context.Context) error { return shootstate.Delete(ctx, o.GardenClient, o.Shoot.GetInfo()) })
	return o.run(ctx, t)
}
