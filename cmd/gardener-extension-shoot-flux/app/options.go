// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"
	"k8s.io/component-base/version"

	extensionscmdcontroller "github.com/gardener/gardener/extensions/pkg/controller/cmd"
	extensionsheartbeatcmd "github.com/gardener/gardener/extensions/pkg/controller/heartbeat/cmd"
	extensionscmdwebhook "github.com/gardener/gardener/extensions/pkg/webhook/cmd"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
)

// extensionName is the name of the extension, to which Gardener's library adds the prefix gardener-extension-.
const extensionName = "shoot-flux"

// options are the command line options of the extension: those that Gardener's extensions have, where Flux releases
// and images come from, which Git servers are asked for their host keys, how often shoots are looked at, when changes in the garden
// reach the shoots, and whether the process can be profiled.
type options struct {
	rest        *extensionscmdcontroller.RESTOptions
	manager     *extensionscmdcontroller.ManagerOptions
	general     *extensionscmdcontroller.GeneralOptions
	reconciler  *extensionscmdcontroller.ReconcilerOptions
	lifecycle   *extensionscmdcontroller.ControllerOptions
	healthCheck *extensionscmdcontroller.ControllerOptions
	heartbeat   *extensionsheartbeatcmd.Options
	webhook     *extensionscmdwebhook.AddToManagerOptions
	releases    releases

	images      images
	hostKeyScan hostKeyScan
	fluxReady   fluxReady
	defaults    landscapeDefaults

	reconcileOnConfigurationChange bool
	fluxReadyAffectsShoot          bool
	gardenIdentity                 string
	profilesBindAddress            string

	all extensionscmdcontroller.OptionAggregator

	// configured is what the webhook asks. It is not there before the actuator is.
	configured controlplane.Configured
}

func newOptions() *options {
	o := &options{
		rest: &extensionscmdcontroller.RESTOptions{},
		manager: &extensionscmdcontroller.ManagerOptions{
			LeaderElection:          true,
			LeaderElectionID:        extensionscmdcontroller.LeaderElectionNameID(extensionName),
			LeaderElectionNamespace: os.Getenv("LEADER_ELECTION_NAMESPACE"),
			WebhookServerPort:       10250,
			WebhookCertDir:          os.TempDir() + "/gardener-extension-shoot-flux-webhook",
		},
		general:     &extensionscmdcontroller.GeneralOptions{},
		reconciler:  &extensionscmdcontroller.ReconcilerOptions{},
		lifecycle:   &extensionscmdcontroller.ControllerOptions{MaxConcurrentReconciles: 5},
		healthCheck: &extensionscmdcontroller.ControllerOptions{MaxConcurrentReconciles: 5},
		heartbeat:   &extensionsheartbeatcmd.Options{ExtensionName: extensionName, Namespace: os.Getenv("LEADER_ELECTION_NAMESPACE")},
	}
	o.webhook = extensionscmdwebhook.NewAddToManagerOptions(extensionName, "", nil, o.general,
		&extensionscmdwebhook.ServerOptions{Namespace: os.Getenv("WEBHOOK_CONFIG_NAMESPACE")},
		extensionscmdwebhook.NewSwitchOptions(extensionscmdwebhook.Switch(controlplane.Name, o.newWebhook)),
	)
	o.all = extensionscmdcontroller.NewOptionAggregator(
		o.rest, o.manager, o.reconciler, o.webhook,
		extensionscmdcontroller.PrefixOption("lifecycle-", o.lifecycle),
		extensionscmdcontroller.PrefixOption("healthcheck-", o.healthCheck),
		extensionscmdcontroller.PrefixOption("heartbeat-", o.heartbeat),
	)
	return o
}

func (o *options) addFlags(flags *pflag.FlagSet) {
	o.all.AddFlags(flags)
	o.releases.addFlags(flags)
	o.images.addFlags(flags)
	o.hostKeyScan.addFlags(flags)
	o.fluxReady.addFlags(flags)
	o.defaults.addFlags(flags)
	flags.BoolVar(&o.reconcileOnConfigurationChange, "reconcile-on-configuration-change", true,
		"Whether a change of a project's ConfigMap flux-config or Secret flux-source reaches the project's shoots at once. If not, it reaches a shoot when gardenlet next reconciles it.")
	flags.BoolVar(&o.fluxReadyAffectsShoot, "healthcheck-flux-ready-affects-shoot", false,
		"Whether a mistake in a project's repository shows in condition SystemComponentsHealthy of the Shoot, as a broken installation of Flux does. If not, it shows in condition FluxReady of the Extension, in ConfigMap flux-status and in events.")
	flags.StringVar(&o.gardenIdentity, "garden-cluster-identity", "",
		"The cluster identity of the garden, which ConfigMap shoot-info tells in each shoot.")
	flags.StringVar(&o.profilesBindAddress, "pprof-bind-address", "",
		"The address, such as localhost:6060, at which Go's profiles of the process are served to anybody who reaches it. Empty: nowhere.")
}

// complete validates the options after the command line has been parsed.
func (o *options) complete() error {
	if err := o.all.Complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.heartbeat.Validate(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.releases.complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.images.complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.hostKeyScan.complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.fluxReady.complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	if err := o.defaults.complete(); err != nil {
		return fmt.Errorf("invalid command line: %w", err)
	}
	return nil
}

// describe says for the log how the extension has been started, as keys and values. What may hold a password is left out.
func (o *options) describe() []any {
	gardenAccess := "kubeconfig of gardenlet"
	if os.Getenv(v1beta1constants.EnvGenericGardenKubeconfig) != "" {
		gardenAccess = "kubeconfig file"
	}
	return []any{
		"version", version.Get().GitVersion, "gardenerVersion", o.general.Completed().GardenerVersion, "gardenAccess", gardenAccess,
		"embeddedReleases", o.releases.catalogue.Embedded(), "maxConcurrentReconciles", o.lifecycle.Completed().MaxConcurrentReconciles,
		"fluxReadySyncPeriod", o.fluxReady.syncPeriod.String(), "reconcileOnConfigurationChange", o.reconcileOnConfigurationChange, "servesWebhook", o.servesWebhook(),
	}
}
