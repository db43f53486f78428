// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	certificatesv1 "k8s.io/api/certificates/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	"github.com/gardener/gardener/pkg/api/indexer"
	gardencore "github.com/gardener/gardener/pkg/apis/core"
	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	securityv1alpha1 "github.com/gardener/gardener/pkg/apis/security/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component/garden/backupbucket"
	"github.com/gardener/gardener/pkg/controllerutils"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

const (
	seedNamespaceTimeout  = 5 * time.Minute
	seedNamespaceInterval = 200 * time.Millisecond
)

// newGarden connects to the garden as gardenlet does (cmd/gardenlet/app of Gardener): its identity may watch only what concerns its seed, so
// everything else is watched by name or read directly.
func newGarden(ctx context.Context, options Options) (ctrlcluster.Cluster, error) {
	seedNamespace := gardenerutils.ComputeGardenNamespace(options.SeedName)
	garden, err := ctrlcluster.New(options.Garden, func(o *ctrlcluster.Options) {
		o.Scheme, o.Logger = kubernetes.GardenScheme, options.Log
		o.NewCache = func(config *rest.Config, o cache.Options) (cache.Cache, error) {
			return newGardenCache(options.Log, options.SeedName, seedNamespace, config, o)
		}
		o.NewClient = func(config *rest.Config, o client.Options) (client.Client, error) {
			cached, err := client.New(config, o)
			if err != nil {
				return nil, err
			}
			o.Cache = nil
			uncached, err := client.New(config, o)
			if err != nil {
				return nil, err
			}
			return &kubernetes.FallbackClient{Client: cached, Reader: uncached, KindToNamespaces: map[string]sets.Set[string]{
				"Secret": sets.New(seedNamespace), "ServiceAccount": sets.New(seedNamespace),
			}}, nil
		}
	})
	if err != nil {
		return nil, fmt.Errorf("failed to connect to the garden: %w", err)
	}
	for _, addIndex := range []func(context.Context, client.FieldIndexer) error{
		indexer.AddControllerInstallationRegistrationRefName,
		indexer.AddControllerInstallationSeedRefName,
		indexer.AddShootSeedName,
		indexer.AddShootStatusSeedName,
	} {
		if err := addIndex(ctx, garden.GetFieldIndexer()); err != nil {
			return nil, fmt.Errorf("failed to index the garden: %w", err)
		}
	}
	return garden, nil
}

func newGardenCache(log logr.Logger, seedName, seedNamespace string, config *rest.Config, options cache.Options) (cache.Cache, error) {
	ofSeed := labels.SelectorFromSet(labels.Set{v1beta1constants.LabelPrefixSeedName + seedName: "true"})
	options.ByObject = map[client.Object]cache.ByObject{
		&gardencorev1beta1.ControllerInstallation{}: {Field: fields.SelectorFromSet(fields.Set{gardencore.SeedRefName: seedName})},
		&gardencorev1beta1.Seed{}:                   {Label: ofSeed},
		&gardencorev1beta1.Shoot{}:                  {Label: ofSeed},
		&corev1.Secret{}:                            {Namespaces: map[string]cache.Config{seedNamespace: {}}},
		&corev1.ServiceAccount{}:                    {Namespaces: map[string]cache.Config{seedNamespace: {}}},
	}
	single := map[client.Object]cache.NewCacheFunc{}
	for _, object := range []client.Object{
		&corev1.ConfigMap{}, &corev1.Namespace{}, &coordinationv1.Lease{}, &certificatesv1.CertificateSigningRequest{},
		&gardencorev1.ControllerDeployment{}, &gardencorev1beta1.CloudProfile{}, &gardencorev1beta1.NamespacedCloudProfile{},
		&gardencorev1beta1.Project{}, &securityv1alpha1.CredentialsBinding{},
	} {
		single[object] = kubernetes.SingleObjectCacheFunc(log, kubernetes.GardenScheme, object)
	}
	return kubernetes.AggregatorCacheFunc(kubernetes.NewRuntimeCache, single, kubernetes.GardenScheme)(config, options)
}

// registerSeed creates the Seed, as gardenlet does when it starts, waits for its namespace in the garden, and reports that the seed is
// bootstrapped.
func registerSeed(ctx context.Context, garden client.Client, options Options) error {
	seed := &gardencorev1beta1.Seed{ObjectMeta: metav1.ObjectMeta{Name: options.SeedName}}
	if _, err := controllerutils.GetAndCreateOrMergePatch(ctx, garden, seed, func() error {
		metav1.SetMetaDataLabel(&seed.ObjectMeta, v1beta1constants.GardenRole, v1beta1constants.GardenRoleSeed)
		seed.Spec = options.SeedSpec
		return nil
	}); err != nil {
		return fmt.Errorf("failed to register Seed %s: %w", options.SeedName, err)
	}
	namespace := &corev1.Namespace{}
	if err := wait.PollUntilContextTimeout(ctx, seedNamespaceInterval, seedNamespaceTimeout, true, func(ctx context.Context) (bool, error) {
		err := garden.Get(ctx, client.ObjectKey{Name: gardenerutils.ComputeGardenNamespace(options.SeedName)}, namespace)
		if apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
			return false, nil
		}
		return err == nil, err
	}); err != nil {
		return fmt.Errorf("the garden has no namespace %s for the seed: %w", gardenerutils.ComputeGardenNamespace(options.SeedName), err)
	}
	patch := client.MergeFrom(seed.DeepCopy())
	seed.Status.ClusterIdentity = new("landscape-seed-" + options.SeedName)
	seed.Status.Gardener = options.identity()
	seed.Status.ObservedGeneration = seed.Generation
	seed.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateSucceeded, Progress: 100, LastUpdateTime: metav1.Now(),
		Description: "Seed cluster has been successfully reconciled.",
	}
	// gardenlet's own care for the seed would miss the pods of what is installed. Without this condition, no shoot may come from another seed.
	healthy := v1beta1helper.GetOrInitConditionWithClock(clock.RealClock{}, seed.Status.Conditions, gardencorev1beta1.SeedSystemComponentsHealthy)
	seed.Status.Conditions = v1beta1helper.MergeConditions(seed.Status.Conditions, v1beta1helper.UpdatedConditionWithClock(clock.RealClock{}, healthy,
		gardencorev1beta1.ConditionTrue, "SystemComponentsRunning", "All system components are healthy."))
	if err := garden.Status().Patch(ctx, seed, patch); err != nil {
		return fmt.Errorf("failed to set the status of Seed %s: %w", options.SeedName, err)
	}
	return registerBackupBucket(ctx, garden, seed, options)
}

// registerBackupBucket tells the garden where the shoots' backups are. gardener-scheduler chooses no seed without. Nothing is ever there.
func registerBackupBucket(ctx context.Context, garden client.Client, seed *gardencorev1beta1.Seed, options Options) error {
	if seed.Spec.Backup == nil {
		return nil
	}
	values := &backupbucket.Values{
		Name: string(seed.UID), Config: seed.Spec.Backup, DefaultRegion: seed.Spec.Provider.Region, Clock: clock.RealClock{}, Seed: seed,
	}
	if err := backupbucket.New(options.Log, garden, values, options.WaitInterval, seedNamespaceTimeout).Deploy(ctx); err != nil {
		return fmt.Errorf("failed to register the BackupBucket of Seed %s: %w", seed.Name, err)
	}
	return nil
}

// ensure creates the object if it does not exist; afterwards it is as it is in the cluster.
func ensure(ctx context.Context, c client.Client, object client.Object) error {
	err := client.IgnoreAlreadyExists(c.Create(ctx, object))
	if err == nil {
		err = c.Get(ctx, client.ObjectKeyFromObject(object), object)
	}
	if err != nil {
		return fmt.Errorf("failed to create %T %s: %w", object, object.GetName(), err)
	}
	return nil
}
