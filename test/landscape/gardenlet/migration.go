// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/utils/flow"
	"github.com/gardener/gardener/pkg/utils/gardener/shootstate"
)

// checkReadyForMigration waits, by an error, for gardener-controller-manager to say that the other seed can take the shoot.
func checkReadyForMigration(shoot *gardencorev1beta1.Shoot) error {
	constraint := v1beta1helper.GetCondition(shoot.Status.Constraints, gardencorev1beta1.ShootReadyForMigration)
	switch {
	case constraint == nil:
		return fmt.Errorf("waiting for confirmation that destination Seed is available to host the control plane of Shoot %s", shoot.Name)
	case constraint.Status != gardencorev1beta1.ConditionTrue:
		return fmt.Errorf("destination Seed is not available to host the control plane of Shoot %s: %s", shoot.Name, constraint.Message)
	default:
		return nil
	}
}

// migrate is gardenlet's flow on the seed that a Shoot leaves (reconciler_migrate.go). The shoot itself lives on: its kube-apiserver is not
// stopped here and started from a backup there.
func (o *operation) migrate(ctx context.Context) error {
	works, err := o.hasControlPlane(ctx)
	if err != nil {
		return err
	}
	t := o.newTasks("Shoot cluster preparation for migration")
	if works {
		t.addRepeated("Deploying Shoot namespace in Seed", o.DeployControlPlaneNamespace)
		o.addResourceManager(t)
		t.addRepeated("Configuring Managed Resources objects to be kept in the Shoot", o.KeepObjectsForManagedResources)
	}
	t.addRepeated("Deleting all Managed Resources from the Shoot's namespace", o.DeleteManagedResources)
	t.add("Waiting until ManagedResources are deleted", flow.TaskFn(o.WaitUntilManagedResourcesDeleted).Timeout(10*time.Minute))
	t.add("Migrating extensions before kube-apiserver", o.extensions.MigrateBeforeKubeAPIServer)
	t.add("Waiting until extensions that should be handled before kube-apiserver have been migrated", o.extensions.WaitMigrateBeforeKubeAPIServer)
	t.add("Persisting ShootState in garden cluster", o.persistShootState)
	t.add("Deleting extensions before kube-apiserver", o.extensions.DestroyBeforeKubeAPIServer)
	t.add("Waiting until extensions that should be handled before kube-apiserver have been deleted", o.extensions.WaitCleanupBeforeKubeAPIServer)
	t.add("Deleting stale extensions", o.extensions.DeleteStaleResources)
	t.add("Waiting until all stale extensions have been deleted", o.extensions.WaitCleanupStaleResources)
	if works {
		t.addRepeated("Waiting until shoot managed resources have been deleted", o.WaitUntilShootManagedResourcesDeleted)
	}
	t.addRepeated("Deleting kube-apiserver deployment", o.noteAPIServerDeleted)
	t.add("Migrating extensions after kube-apiserver", o.extensions.MigrateAfterKubeAPIServer)
	t.add("Waiting until extensions that should be handled after kube-apiserver have been migrated", o.extensions.WaitMigrateAfterKubeAPIServer)
	t.add("Deleting extensions after kube-apiserver", o.extensions.DestroyAfterKubeAPIServer)
	t.add("Waiting until extensions that should be handled after kube-apiserver have been deleted", o.extensions.WaitCleanupAfterKubeAPIServer)
	t.add("Waiting until all extensions have been deleted", o.extensions.WaitCleanup)
	t.addRepeated("Deleting shoot namespace in Seed", o.DeleteSeedNamespace)
	t.add("Waiting until shoot namespace in Seed has been deleted", o.WaitUntilSeedNamespaceDeleted)
	return o.run(ctx, t)
}

func (o *operation) persistShootState(ctx context.Context) error {
	return shootstate.Deploy(ctx, o.Clock, o.GardenClient, o.SeedClientSet.Client(), o.Shoot.GetInfo(), o.Shoot.ControlPlaneNamespace, false)
}

// readShootState reads what the seed that the Shoot has left wrote down.
func (o *operation) readShootState(ctx context.Context) error {
	shoot := o.Shoot.GetInfo()
	state := &gardencorev1beta1.ShootState{}
	if err := o.GardenClient.Get(ctx, client.ObjectKeyFromObject(shoot), state); err != nil {
		return fmt.Errorf("failed to read ShootState %s: %w", client.ObjectKeyFromObject(shoot), err)
	}
	o.Shoot.SetShootState(state)
	return nil
}

// restoreSecrets creates the secrets that the secrets manager had on the other seed, as botanist's InitializeSecretsManagement does.
func (o *operation) restoreSecrets(ctx context.Context) error {
	for _, entry := range o.Shoot.GetShootState().Spec.Gardener {
		if entry.Type != v1beta1constants.DataTypeSecret {
			continue
		}
		var state shootstate.SecretState
		if err := json.Unmarshal(entry.Data.Raw, &state); err != nil {
			return fmt.Errorf("failed to restore Secret %s: %w", entry.Name, err)
		}
		secret := &corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: o.Shoot.ControlPlaneNamespace, Name: entry.Name, Labels: entry.Labels},
			Type:       state.Type, Data: state.Data, Immutable: state.Immutable,
		}
		if err := client.IgnoreAlreadyExists(o.SeedClientSet.Client().Create(ctx, secret)); err != nil {
			return fmt.Errorf("failed to restore Secret %s: %w", entry.Name, err)
		}
	}
	return nil
}
