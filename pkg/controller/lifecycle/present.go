// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// present is what a shoot has, or is getting.
type present struct {
	// fluxVersion is the Flux release, or empty if there is none.
	fluxVersion string
	// migrating tells that the release's CustomResourceDefinitions still have API versions of the one before.
	migrating bool
	// configurationDigest is of the configuration that was last applied, or empty.
	configurationDigest string
	// protected tells that the release is protected from what the users' repository holds of it, as it is while the extension manages it.
	protected bool
	// deployer is the Kustomization by which Flux deploys itself, and could delete itself. It is empty if there is none, or if the shoot was not asked.
	deployer client.ObjectKey
	// installation and configuration are what the extension has written, or nil.
	installation, configuration *resourcesv1alpha1.ManagedResource
	// state is what the extension has noted, on this seed or on another one. What the seed has counts more.
	state fluxv1alpha1.FluxState
	// shoot is asked only if need be.
	shoot *lazyClient
}

// findPresent tells what the shoot has, by what the seed has. It asks the shoot only if the seed doesn't know: when the shoot is new, has come
// from another seed, got Flux from somebody else, or has it for its users to upgrade.
func (a *Actuator) findPresent(ctx context.Context, namespace string, inSeed *installed) (_ *present, err error) {
	defer metrics.ObservePhase(metrics.PhaseInventory, time.Now(), &err)
	installation, configuration := inSeed.installation, inSeed.configuration
	found := &present{
		installation: installation, configuration: configuration, state: inSeed.state, migrating: inSeed.state.Migrating,
		shoot: &lazyClient{actuator: a, namespace: namespace},
	}
	if configuration != nil {
		found.configurationDigest = configuration.Labels[managedresource.ConfigurationDigestLabel]
	}
	if installation != nil {
		found.fluxVersion = installation.Labels[managedresource.FluxVersionLabel]
		found.migrating = installation.Labels[managedresource.MigratingLabel] == "true"
		found.protected = installation.Labels[managedresource.ProtectedLabel] == "true"
	}
	if found.fluxVersion != "" && !managedresource.IsIgnored(installation) {
		return found, nil
	}
	shootClient, err := found.shoot.get(ctx)
	if err != nil {
		return nil, err
	}
	definition, err := migration.InstalledDefinition(ctx, shootClient)
	if err != nil {
		return nil, err
	}
	found.fluxVersion = migration.VersionOf(definition)
	found.protected = managedresource.CameFrom(definition, namespace) && render.IsProtected(definition.Annotations)
	found.deployer = takeover.DeployerOf(definition)
	return found, nil
}

// isComplete tells whether the shoot has a release with nothing but its own CustomResourceDefinitions, as far as the seed knows. If
// not, it is prepared for the release once more.
func (p *present) isComplete(version string) bool {
	return p.installation != nil && p.fluxVersion == version && !p.migrating && !managedresource.IsPending(p.installation)
}

// definitions are the names of the CustomResourceDefinitions that gardener-resource-manager manages for the extension.
func (p *present) definitions() []string {
	if p.installation == nil {
		return nil
	}
	var names []string
	for _, reference := range p.installation.Status.Resources {
		if reference.Kind == "CustomResourceDefinition" {
			names = append(names, reference.Name)
		}
	}
	return names
}

// lazyClient makes a client of the shoot when one is needed, and the same one for all steps of a reconciliation.
type lazyClient struct {
	actuator  *Actuator
	namespace string
	made      client.Client
}

func (l *lazyClient) get(ctx context.Context) (_ client.Client, err error) {
	switch {
	case l.made != nil:
	case l.actuator.Shoots != nil:
		l.made, err = l.actuator.Shoots.New(ctx, l.namespace)
	default:
		l.made, err = shoot.NewClient(ctx, l.actuator.Seed, l.namespace)
	}
	return l.made, err
}
