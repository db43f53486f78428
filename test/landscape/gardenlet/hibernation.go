// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	kubernetesutils "github.com/gardener/gardener/pkg/utils/kubernetes"
)

// hibernate is what gardenlet's flow for reconciling a Shoot does when the shoot is to sleep, or sleeps (reconciler_reconcile.go).
func (o *operation) hibernate(ctx context.Context) error {
	asleep := o.Shoot.GetInfo().Status.IsHibernated
	t := o.newTasks("Shoot cluster reconciliation")
	t.addRepeated("Deploying Shoot namespace in Seed", o.DeployControlPlaneNamespace)
	if !asleep {
		o.addControlPlane(t)
	}
	t.addRepeated("Hibernating extension resources before kube-apiserver hibernation", o.DeployExtensionsAfterKubeAPIServer)
	t.add("Waiting until extension resources hibernated before kube-apiserver hibernation are ready", o.extensions.WaitAfterKubeAPIServer)
	if !asleep && !o.Shoot.IsWorkerless {
		t.add("Configuring worker pools", o.hook(o.options.DestroyWorkers))
	}
	if !o.Shoot.IsWorkerless {
		t.addRepeated("Deploying extension resources after workers", o.DeployExtensionsAfterWorker)
		t.add("Waiting until extension resources handled after workers are ready", o.extensions.WaitAfterWorker)
	}
	// gardenlet does not wait for it while the shoot sleeps: nobody could delete anything in it.
	t.addRepeated("Deleting stale extension resources", o.extensions.DeleteStaleResources)
	if !asleep {
		t.addRepeated("Hibernating control plane", o.hibernateControlPlane)
	}
	t.addRepeated("Hibernating extension resources after kube-apiserver hibernation", o.DeployExtensionsBeforeKubeAPIServer)
	t.add("Waiting until extension resources hibernated after kube-apiserver hibernation are ready", o.extensions.WaitBeforeKubeAPIServer)
	return o.run(ctx, t)
}

func (o *operation) hibernateControlPlane(ctx context.Context) error {
	key := client.ObjectKey{Namespace: o.Shoot.ControlPlaneNamespace, Name: v1beta1constants.DeploymentNameGardenerResourceManager}
	if err := kubernetesutils.ScaleDeployment(ctx, o.SeedClientSet.Client(), key, 0); client.IgnoreNotFound(err) != nil {
		return err
	}
	return o.hook(o.options.HibernateCluster)(ctx)
}
