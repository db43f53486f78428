// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package app wires the extension: options, manager, controllers and webhook.
package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"

	"github.com/spf13/cobra"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/component-base/version/verflag"
	"k8s.io/klog/v2"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	"github.com/gardener/gardener/extensions/pkg/controller/heartbeat"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	gardenerhealthz "github.com/gardener/gardener/pkg/healthz"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/fluxready"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/healthcheck"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// NewCommand returns the command that runs the extension until its context is cancelled.
func NewCommand() *cobra.Command {
	options := newOptions()
	command := &cobra.Command{
		Use:           "gardener-extension-" + extensionName,
		Short:         "Brings Flux into the shoots of a seed",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(command *cobra.Command, _ []string) error {
			verflag.PrintAndExitIfRequested()
			if err := options.complete(); err != nil {
				return err
			}
			return run(command.Context(), options)
		},
	}
	options.addFlags(command.Flags())
	verflag.AddFlags(command.Flags())
	return command
}

// garbage is how much of it may be in memory, in percent of what is not, before it is collected: half of what Go allows. The process allocates little,
// so that this costs less of the processors than it saves in memory.
const garbage = 50

func run(ctx context.Context, options *options) error {
	logger := options.manager.Completed().Logger
	log.SetLogger(logger)
	klog.SetLogger(logger) // client-go's
	logger.Info("Starting", options.describe()...)
	if _, set := os.LookupEnv("GOGC"); !set {
		debug.SetGCPercent(garbage)
	}
	var actuator *lifecycle.Actuator
	gardenHost := func() string {
		if actuator == nil { // nobody has asked the garden
			return ""
		}
		return actuator.Garden.Host()
	}
	// The manager's cache asks the seed for its kinds when it is made.
	if err := labelRequests(options.rest.Completed().Config, gardenHost); err != nil {
		return err
	}
	mgr, err := newManager(options)
	if err != nil {
		return err
	}
	if actuator, err = newActuator(mgr, options); err != nil {
		return err
	}
	context.AfterFunc(ctx, actuator.Releases.Close)
	if err := addProbes(mgr); err != nil {
		return err
	}
	if err := addWebhook(ctx, mgr, options, actuator); err != nil {
		return err
	}
	if err := addControllers(ctx, mgr, options, actuator); err != nil {
		return err
	}
	if err := mgr.Start(ctx); err != nil {
		return fmt.Errorf("failed to run the manager: %w", err)
	}
	return nil
}

func newManager(options *options) (manager.Manager, error) {
	config := options.rest.Completed().Config
	// Gardener's API servers have priority and fairness. Without this, client-go sends five requests of a kind a second.
	config.QPS = -1
	managerOptions := options.manager.Completed().Options()
	managerOptions.PprofBindAddress = options.profilesBindAddress
	// The process ends when the manager has stopped, so nothing of it can run beside the next leader, which need not wait for the lease to expire.
	managerOptions.LeaderElectionReleaseOnCancel = true
	// The options of the cache have Gardener's kinds.
	managerOptions.Scheme = runtime.NewScheme()
	if err := errors.Join(clientgoscheme.AddToScheme(managerOptions.Scheme), extensionscontroller.AddToScheme(managerOptions.Scheme)); err != nil {
		return nil, fmt.Errorf("failed to set up the scheme: %w", err)
	}
	managerOptions.Cache = seed.CacheOptions(lifecycle.Type)
	managerOptions.NewClient = seed.NewClient(options.webhook.Completed().Server.OwnerNamespace)
	// What is read now and then is not worth a watch, nor the right to list it.
	managerOptions.Client.Cache = &client.CacheOptions{DisableFor: []client.Object{
		&corev1.Secret{}, &coordinationv1.Lease{}, &admissionregistrationv1.MutatingWebhookConfiguration{},
	}}
	mgr, err := manager.New(config, managerOptions)
	if err != nil {
		return nil, fmt.Errorf("failed to create the manager: %w", err)
	}
	return mgr, nil
}

func addProbes(mgr manager.Manager) error {
	synced := gardenerhealthz.NewCacheSyncHealthzWithDeadline(mgr.GetLogger(), clock.RealClock{}, mgr.GetCache(), gardenerhealthz.DefaultCacheSyncDeadline)
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return fmt.Errorf("failed to add the health check: %w", err)
	}
	if err := mgr.AddHealthzCheck("informer-sync", synced); err != nil {
		return fmt.Errorf("failed to add the health check of informers: %w", err)
	}
	if err := mgr.AddReadyzCheck("informer-sync", gardenerhealthz.NewCacheSyncHealthz(mgr.GetCache())); err != nil {
		return fmt.Errorf("failed to add the readiness check of informers: %w", err)
	}
	return nil
}

func addControllers(ctx context.Context, mgr manager.Manager, options *options, actuator *lifecycle.Actuator) error {
	if err := addReachability(mgr, actuator.Garden); err != nil {
		return err
	}
	classes := options.general.Completed().ExtensionClasses
	if len(classes) == 0 {
		classes = []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot}
	}
	if err := report.AddToManager(ctx, mgr, report.AddArgs{Garden: actuator.Garden, Type: lifecycle.Type, ExtensionClasses: classes}); err != nil {
		return fmt.Errorf("failed to add the controller of ConfigMap flux-status: %w", err)
	}
	if err := lifecycle.AddToManager(ctx, mgr, actuator, lifecycle.AddArgs{
		ControllerOptions:              options.lifecycle.Completed().Options(),
		IgnoreOperationAnnotation:      options.reconciler.Completed().IgnoreOperationAnnotation,
		ExtensionClasses:               classes,
		Garden:                         actuator.Garden,
		ReconcileOnConfigurationChange: options.reconcileOnConfigurationChange,
		Sources:                        actuator.Sources,
	}); err != nil {
		return fmt.Errorf("failed to add the lifecycle controller: %w", err)
	}
	if err := healthcheck.AddToManager(mgr, healthcheck.AddArgs{
		ControllerOptions:     options.healthCheck.Completed().Options(),
		Type:                  lifecycle.Type,
		ExtensionClasses:      classes,
		FluxReadyAffectsShoot: options.fluxReadyAffectsShoot,
	}); err != nil {
		return fmt.Errorf("failed to add the health-check controller: %w", err)
	}
	if err := fluxready.AddToManager(mgr, fluxready.AddArgs{
		Type:             lifecycle.Type,
		ExtensionClasses: classes,
		SyncPeriod:       options.fluxReady.syncPeriod,
		Shoots:           actuator.Shoots,
		SetHealth:        healthcheck.Set(mgr.GetClient(), options.fluxReadyAffectsShoot),
		PresentedHostKey: actuator.Sources.PresentedHostKey,
	}); err != nil {
		return fmt.Errorf("failed to add the controller of condition FluxReady: %w", err)
	}
	if err := addMetrics(mgr, actuator, classes); err != nil {
		return err
	}
	return addHeartbeat(ctx, mgr, options)
}

func labelRequests(config *rest.Config, gardenHost func() string) error {
	seed, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return fmt.Errorf("the address of the seed's API server can't be used: %w", err)
	}
	metrics.LabelRequestsByCluster(seed.Host, gardenHost)
	return nil
}

func addMetrics(mgr manager.Manager, actuator *lifecycle.Actuator, classes []extensionsv1alpha1.ExtensionClass) error {
	if err := metrics.AddProcessCounters(actuator.Releases, actuator.Sources); err != nil {
		return err
	}
	return metrics.AddShoots(mgr, metrics.ShootsArgs{Type: lifecycle.Type, ExtensionClasses: classes})
}

func addHeartbeat(ctx context.Context, mgr manager.Manager, options *options) error {
	if options.heartbeat.Namespace == "" {
		mgr.GetLogger().Info("No heartbeat is sent, because --heartbeat-namespace is not set")
		return nil
	}
	options.heartbeat.Completed().Apply(&heartbeat.DefaultAddOptions)
	if err := heartbeat.AddToManager(ctx, mgr); err != nil {
		return fmt.Errorf("failed to add the heartbeat controller: %w", err)
	}
	return nil
}

func newActuator(mgr manager.Manager, options *options) (*lifecycle.Actuator, error) {
	// The actuator acts on what is, not on what a cache remembers: a ManagedResource that was made a moment ago must not
	// be overlooked by a deletion.
	seed, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper(), HTTPClient: mgr.GetHTTPClient()})
	if err != nil {
		return nil, fmt.Errorf("failed to create a client of the seed: %w", err)
	}
	return &lifecycle.Actuator{
		Seed:            seed,
		Shoots:          shoot.NewClients(seed, fluxready.NewMapper()),
		Garden:          gardenAccess(seed),
		Releases:        options.releases.catalogue,
		Images:          options.images.read,
		Defaults:        options.defaults.read,
		Sources:         sourcesecret.NewKeeper(options.hostKeyScan.dial()),
		GardenerVersion: options.general.Completed().GardenerVersion,
		GardenIdentity:  options.gardenIdentity,
	}, nil
}

// gardenAccess is the kubeconfig that gardenlet mounts for the extension, or, where it mounts none, gardenlet's own.
func gardenAccess(seed client.Reader) *garden.Access {
	if path := os.Getenv(v1beta1constants.EnvGenericGardenKubeconfig); path != "" {
		return garden.KubeconfigFile(path)
	}
	return garden.GardenletKubeconfig(seed)
}

// addReachability adds the readiness check "garden". The Deployment's probe leaves it out, because the webhook of the seed
// works without the garden and must not lose its endpoints.
func addReachability(mgr manager.Manager, access *garden.Access) error {
	reachability := garden.NewReachability(access)
	if err := mgr.Add(reachability); err != nil {
		return fmt.Errorf("failed to add what asks whether the garden can be reached: %w", err)
	}
	if err := mgr.AddReadyzCheck("garden", reachability.Check); err != nil {
		return fmt.Errorf("failed to add the readiness check of the garden: %w", err)
	}
	return nil
}
