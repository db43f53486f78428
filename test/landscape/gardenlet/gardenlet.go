// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime/debug"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component/shared"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet/workload"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	// DefaultSeedName is the name of the seed if [Options] do not say otherwise.
	DefaultSeedName = "local"

	gardenerModule = "github.com/gardener/gardener"

	// gardenlet polls Extensions every 5 seconds, takes an error for final if it lasts 30 seconds, and retries a failed operation with an
	// exponential backoff that starts with milliseconds. Here everything is close by, and a user should not wait long for what is wrong.
	defaultWaitInterval    = 500 * time.Millisecond
	defaultSevereThreshold = 5 * time.Second
	defaultRetryInterval   = 5 * time.Second
)

// ShootAPIServerArgs are arguments that a shoot's kube-apiserver needs: with Gardener's audience, since gardener-resource-manager requests
// tokens for it.
var ShootAPIServerArgs = []string{"--api-audiences=kubernetes,gardener"}

// Options configure a [Gardenlet]. All fields without a stated default are required, except for the hooks.
type Options struct {
	// Garden and Seed are configurations with the privileges of system:masters. The clusters must have been prepared by [InstallGarden] and
	// [InstallSeed].
	Garden, Seed *rest.Config
	// SeedName is the name of the seed; default [DefaultSeedName].
	SeedName string
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

	// WaitInterval is how often is looked whether something is ready; default 500 milliseconds (gardenlet: 5 seconds).
	WaitInterval time.Duration
	// SevereThreshold is how long an Extension may report an error before the operation fails; default 5 seconds (gardenlet: 30 seconds).
	SevereThreshold time.Duration
	// RetryInterval is the pause after a failed operation; default 5 seconds (gardenlet: an exponential backoff).
	RetryInterval time.Duration
}

// Gardenlet works on Shoots until it is stopped.
//
// What differs from a real gardenlet: there is one seed, and every Shoot belongs to it; the shoot's control plane has certificates of its own,
// from which the secrets manager takes over its CA bundle and the kubeconfig for bootstrapping; the gardener-resource-manager has one replica and is a process with ports of its own on the loopback interface; its
// webhooks are off, by Gardener's own switch for workerless shoots, because nothing in a shoot could call them; intervals are shorter (see
// [Options]); kinds of conditions that need nodes are missing.
type Gardenlet struct {
	options Options
	cancel  context.CancelFunc
	done    chan error
	runner  *workload.Runner
}

// Start begins to work on Shoots and returns when all watches are established. The context is the lifetime of the gardenlet.
func Start(ctx context.Context, options Options) (*Gardenlet, error) {
	options, err := options.complete()
	if err != nil {
		return nil, err
	}
	shortenIntervals()
	garden, seed, err := newClusters(options)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	g := &Gardenlet{options: options, cancel: cancel, done: make(chan error, 1), runner: &workload.Runner{}}
	if err := g.add(ctx, garden, seed); err != nil {
		cancel()
		return nil, err
	}
	go func() { g.done <- garden.Start(ctx) }()
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
	o.Garden, o.Seed = GardenConfig(o.Garden), unlimited(o.Seed)
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

// GardenConfig returns a configuration for clients that write to the garden, without rate limit. Gardener's kinds are custom resources there,
// which must be sent as JSON: controller-runtime would send protocol buffers, and kube-apiserver panics on them.
func GardenConfig(config *rest.Config) *rest.Config {
	config = unlimited(config)
	config.ContentType = runtime.ContentTypeJSON
	return config
}

// shortenIntervals sets what Gardener's components only offer as variables of the whole process.
var shortenIntervals = sync.OnceFunc(func() {
	shared.IntervalWaitForGardenerResourceManagerBootstrapping = defaultWaitInterval
	managedresources.IntervalWait = defaultWaitInterval
})

func newClusters(options Options) (manager.Manager, ctrlcluster.Cluster, error) {
	garden, err := manager.New(options.Garden, manager.Options{
		Scheme:                  kubernetes.GardenScheme,
		Logger:                  options.Log,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: new(10 * time.Second),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("failed to connect to the garden: %w", err)
	}
	seed, err := ctrlcluster.New(options.Seed, func(o *ctrlcluster.Options) {
		o.Scheme, o.Logger = kubernetes.SeedScheme, options.Log
	})
	if err != nil {
		return nil, nil, fmt.Errorf("failed to connect to the seed: %w", err)
	}
	return garden, seed, garden.Add(seed)
}

func (g *Gardenlet) add(ctx context.Context, garden manager.Manager, seed ctrlcluster.Cluster) error {
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
	if err := registerSeed(ctx, gardenClient, g.options.SeedName); err != nil {
		return err
	}
	shoots := &shootReconciler{options: g.options, garden: gardenClient, seed: seedClientSet}
	if err := shoots.addToManager(garden); err != nil {
		return err
	}
	care := &careReconciler{log: g.options.Log, garden: gardenClient, seed: seedClientSet.Client()}
	if err := care.addToManager(garden, seed); err != nil {
		return err
	}
	managers := &resourceManagers{
		client: seedClientSet.Client(),
		bin:    g.options.Bin,
		dir:    g.options.Dir,
		log:    g.options.Log,
		runner: g.runner,
		host:   &workload.Host{Client: seedClientSet.Client(), Config: g.options.Seed, Dir: filepath.Join(g.options.Dir, "pods")},
	}
	return managers.addToManager(garden, seed)
}

// Stop ends all processes and returns when they are gone and nobody works on Shoots any more. What is in the clusters stays.
func (g *Gardenlet) Stop() error {
	g.cancel()
	err := <-g.done
	g.done <- err // for a second call
	return errors.Join(err, g.runner.StopAll())
}

// ResourceManager returns the process of gardener-resource-manager for the shoot with this technical ID, if it runs.
func (g *Gardenlet) ResourceManager(technicalID string) (*process.Process, bool) {
	return g.runner.Process(technicalID)
}
