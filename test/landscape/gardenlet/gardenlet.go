// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component/shared"
	installationcontroller "github.com/gardener/gardener/pkg/gardenlet/controller/controllerinstallation/controllerinstallation"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	// DefaultSeedName is the name of the seed if [Options] do not say otherwise.
	DefaultSeedName = "local"

	gardenerModule = "github.com/gardener/gardener"

	// gardenlet polls what it waits for every 5 seconds, takes an error for final if it lasts 30 seconds, and retries a failed operation with an
	// exponential backoff that starts with milliseconds. Here everything is close by, and a user should not wait long for what is wrong.
	defaultWaitInterval    = 500 * time.Millisecond
	defaultSevereThreshold = 5 * time.Second
	defaultRetryInterval   = time.Second
)

// ShootAPIServerArgs are arguments that a shoot's kube-apiserver needs: with Gardener's audience, since gardener-resource-manager requests
// tokens for it.
var ShootAPIServerArgs = []string{"--api-audiences=kubernetes,gardener"}

// Options configure a [Gardenlet]. All fields without a stated default are required, except for the hooks.
type Options struct {
	// Garden is gardenlet's access to the garden, of user gardener.cloud:system:seed:<SeedName> and group gardener.cloud:system:seeds.
	Garden *rest.Config
	// Seed is an access to the seed with the privileges of system:masters. The cluster must have been prepared by [InstallSeed].
	Seed *rest.Config
	// SeedName is the name of the seed; default [DefaultSeedName].
	SeedName string
	// SeedSpec is what the seed is registered with.
	SeedSpec gardencorev1beta1.SeedSpec
	// GardenerVersion is the tag of the gardener-resource-manager's image; default is the version of the Gardener module this program was
	// built with.
	GardenerVersion string
	// Bin has the program gardener-resource-manager.
	Bin process.Binaries
	// Dir keeps logs and the files of processes.
	Dir string
	// Log gets the progress of all operations.
	Log logr.Logger

	// ShootCluster returns the control plane of a shoot, started with [ShootAPIServerArgs], and may start it. It is called in each operation.
	ShootCluster func(ctx context.Context, shoot *gardencorev1beta1.Shoot) (*cluster.Cluster, error)
	// DeployWorkers, if set, is called when gardenlet would deploy the shoot's workers.
	DeployWorkers func(ctx context.Context, shoot *gardencorev1beta1.Shoot) error
	// DestroyWorkers, if set, is called when gardenlet would destroy the shoot's workers: after it returns, nothing runs on nodes. Like
	// all hooks, it is called again when an operation is repeated.
	DestroyWorkers func(ctx context.Context, shoot *gardencorev1beta1.Shoot) error
	// DeleteShootCluster, if set, is called when gardenlet would delete the shoot's API server.
	DeleteShootCluster func(ctx context.Context, shoot *gardencorev1beta1.Shoot) error

	// HibernateCluster, if set, is called when gardenlet would hibernate the shoot's control plane. ShootCluster wakes it up.
	HibernateCluster func(ctx context.Context, shoot *gardencorev1beta1.Shoot) error

	// Deployments run further Deployments of the seed as processes.
	Deployments []*workload.Deployments

	// WaitInterval is how often is looked whether something is ready; default 500 milliseconds (gardenlet: 5 seconds).
	WaitInterval time.Duration
	// SevereThreshold is how long an Extension may report an error before the operation fails; default 5 seconds (gardenlet: 30 seconds).
	SevereThreshold time.Duration
	// RetryInterval is the longest pause after a failed operation, and the pause before a task of a flow is repeated; default one second (gardenlet: an exponential backoff without such a limit).
	RetryInterval time.Duration
}

// Gardenlet works on Shoots until it is stopped.
//
// What differs from a real gardenlet: the shoot's control plane has certificates of its own,
// from which the secrets manager takes over its CA bundle and the kubeconfig for bootstrapping; the gardener-resource-manager has one replica and is a process with ports of its own on the loopback interface; its
// webhooks are off, by Gardener's own switch for workerless shoots, because nothing in a shoot could call them; intervals are shorter (see
// [Options]); kinds of conditions that need nodes are missing.
type Gardenlet struct {
	options Options
	cancel  context.CancelFunc
	done    chan error

	resourceManagers    *workload.Deployments
	seedResourceManager *process.Process
}

// Start begins to work on Shoots and returns when all watches are established. The context is the lifetime of the gardenlet.
func Start(ctx context.Context, options Options) (*Gardenlet, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	shortenIntervals()
	seed, err := newSeed(options)
	if err != nil {
		return nil, err
	}
	garden, err := newGarden(ctx, options)
	if err != nil {
		return nil, err
	}
	if err := seed.Add(garden); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &Gardenlet{options: options, cancel: cancel, done: make(chan error, 1)}
	if err := g.add(ctx, seed, garden); err != nil {
		cancel()
		return nil, err
	}
	if g.seedResourceManager, err = startSeedResourceManager(ctx, options); err != nil {
		cancel()
		return nil, fmt.Errorf("failed to start the seed's gardener-resource-manager: %w", err)
	}
	go func() { g.done <- seed.Start(ctx) }()
	if !garden.GetCache().WaitForCacheSync(ctx) || !seed.GetCache().WaitForCacheSync(ctx) {
		return nil, errors.Join(errors.New("gardenlet could not read garden and seed"), g.Stop())
	}
	return g, nil
}

func (o Options) complete() (Options, error) {
	if o.SeedName == "" {
		o.SeedName = DefaultSeedName
	}
	if o.WaitInterval == 0 {
		o.WaitInterval = defaultWaitInterval
	}
	if o.SevereThreshold == 0 {
		o.SevereThreshold = defaultSevereThreshold
	}
	if o.RetryInterval == 0 {
		o.RetryInterval = defaultRetryInterval
	}
	if o.GardenerVersion == "" {
		version, err := gardenerVersion()
		if err != nil {
			return o, err
		}
		o.GardenerVersion = version
	}
	o.Garden, o.Seed = unlimited(o.Garden), unlimited(o.Seed)
	return o, nil
}

// gardenerVersion is the version of Gardener's code in this program.
func gardenerVersion() (string, error) {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == gardenerModule {
				return module.Version, nil
			}
		}
	}
	return "", fmt.Errorf("this program does not know which version of %s it was built with: set Options.GardenerVersion", gardenerModule)
}

// unlimited lifts the client-side rate limit: the clusters are this machine's own.
func unlimited(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0
	return config
}

// shortenIntervals sets what Gardener's components only offer as variables of the whole process.
var shortenIntervals = sync.OnceFunc(func() {
	shared.IntervalWaitForGardenerResourceManagerBootstrapping = defaultWaitInterval
	managedresources.IntervalWait = defaultWaitInterval
	installationcontroller.RequeueDurationWhenResourceDeletionStillPresent = defaultWaitInterval
})

// newSeed is the manager of all controllers. Its own cluster is the seed, as gardenlet's is.
func newSeed(options Options) (manager.Manager, error) {
	seed, err := manager.New(options.Seed, manager.Options{
		Scheme:                  kubernetes.SeedScheme,
		Logger:                  options.Log,
		Controller:              config.Controller{SkipNameValidation: new(true)}, // another landscape may live in the same process
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: new(time.Duration(-1)), // a process that does not end is killed
	})
	if err != nil {
		return nil, fmt.Errorf("failed to connect to the seed: %w", err)
	}
	return seed, nil
}

func (g *Gardenlet) add(ctx context.Context, seed manager.Manager, garden ctrlcluster.Cluster) error {
	// Flows read what they wrote just before, so they do not read from caches.
	gardenClient, err := client.New(g.options.Garden, client.Options{Scheme: kubernetes.GardenScheme})
	if err != nil {
		return fmt.Errorf("failed to connect to the garden: %w", err)
	}
	seedClientSet, err := kubernetes.NewWithConfig(
		kubernetes.WithRESTConfig(g.options.Seed),
		kubernetes.WithClientOptions(client.Options{Scheme: kubernetes.SeedScheme}),
		kubernetes.WithDisabledCachedClient(),
	)
	if err != nil {
		return fmt.Errorf("failed to connect to the seed: %w", err)
	}
	if err := registerSeed(ctx, gardenClient, g.options); err != nil {
		return err
	}
	if err := g.options.addOwnControllers(ctx, seed, garden, seedClientSet); err != nil {
		return fmt.Errorf("failed to add gardenlet's own controllers: %w", err)
	}
	shoots := &shootReconciler{options: g.options, garden: gardenClient, seed: seedClientSet}
	if err := shoots.addToManager(seed, garden); err != nil {
		return err
	}
	care := &careReconciler{log: g.options.Log, garden: gardenClient, seed: seedClientSet.Client()}
	if err := care.addToManager(seed, seed); err != nil {
		return err
	}
	g.resourceManagers = newResourceManagers(g.options, seedClientSet.Client())
	for _, deployments := range append([]*workload.Deployments{g.resourceManagers}, g.options.Deployments...) {
		if err := deployments.AddToManager(seed, seed); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends all processes and returns when they are gone and nobody works on Shoots any more. What is in the clusters stays.
func (g *Gardenlet) Stop() error {
	g.cancel()
	err := <-g.done
	g.done <- err // for a second call
	for _, deployments := range append(g.options.Deployments, g.resourceManagers) {
		err = errors.Join(err, deployments.StopAll())
	}
	return errors.Join(err, g.seedResourceManager.Stop())
}

// ResourceManager returns the process of gardener-resource-manager for the shoot with this technical ID, if it runs.
func (g *Gardenlet) ResourceManager(technicalID string) (*process.Process, bool) {
	return g.resourceManagers.Process(technicalID)
}
