// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	gardenletconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/gardenlet/v1alpha1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/controller/tokenrequestor"
	"github.com/gardener/gardener/pkg/gardenlet/controller/controllerinstallation"
	"github.com/gardener/gardener/pkg/gardenlet/controller/seed/lease"
	gardenletfeatures "github.com/gardener/gardener/pkg/gardenlet/features"
	"github.com/gardener/gardener/pkg/healthz"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

// registerFeatureGates is for the whole process: extensions are told which features gardenlet has.
var registerFeatureGates = sync.OnceFunc(gardenletfeatures.RegisterFeatureGates)

// addOwnControllers adds those of gardenlet's own controllers that bring extensions into the seed and keep their access to the garden alive:
// ControllerInstallation, TokenRequestor, and the one that tells the garden that gardenlet is alive.
func (o Options) addOwnControllers(ctx context.Context, mgr manager.Manager, garden ctrlcluster.Cluster, seed kubernetes.Interface) error {
	registerFeatureGates()
	config := gardenletconfigv1alpha1.GardenletConfiguration{SeedConfig: &gardenletconfigv1alpha1.SeedConfig{}}
	config.SeedConfig.Name = o.SeedName
	gardenletconfigv1alpha1.SetObjectDefaults_GardenletConfiguration(&config)

	gardenIdentity := &corev1.ConfigMap{}
	if err := garden.GetAPIReader().Get(ctx, client.ObjectKey{Namespace: metav1.NamespaceSystem, Name: v1beta1constants.ClusterIdentity}, gardenIdentity); err != nil {
		return fmt.Errorf("failed to read the identity of the garden: %w", err)
	}
	if err := controllerinstallation.AddToManager(ctx, mgr, garden, mgr, seed, config, o.identity(),
		gardenIdentity.Data[v1beta1constants.ClusterIdentity], false, nil, o.SeedName, v1beta1constants.GardenNamespace); err != nil {
		return err
	}
	if err := (&tokenrequestor.Reconciler{
		ConcurrentSyncs: *config.Controllers.TokenRequestorServiceAccount.ConcurrentSyncs,
		Class:           new(resourcesv1alpha1.ResourceManagerClassGarden),
		TargetNamespace: gardenerutils.ComputeGardenNamespace(o.SeedName),
	}).AddToManager(mgr, mgr, garden); err != nil {
		return fmt.Errorf("failed to add the TokenRequestor: %w", err)
	}
	health := healthz.NewPeriodicHealthz(clock.RealClock{}, time.Minute)
	if err := mgr.Add(health); err != nil {
		return err
	}
	return lease.AddToManager(mgr, garden, seed.RESTClient(), *config.Controllers.Seed, health, o.SeedName, nil, new(gardencorev1beta1.GardenerSeedLeaseNamespace))
}

// identity is what gardenlet says it is.
func (o Options) identity() *gardencorev1beta1.Gardener {
	return &gardencorev1beta1.Gardener{ID: "landscape", Name: "gardenlet", Version: o.GardenerVersion}
}
