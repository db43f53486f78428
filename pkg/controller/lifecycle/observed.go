// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// observed is what a shoot has, or is getting.
type observed struct {
	// installation and configuration are the ManagedResources that the extension has written, or nil.
	installation, configuration *resourcesv1alpha1.ManagedResource
	// state is what the extension has noted, on this seed or on another one. What the seed has counts more.
	state fluxv1alpha1.FluxState

	// What follows is observed where a shoot is to get something.

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
	// predecessor is what the archived first version of the extension deploys by, or nil. It is looked for before the first write.
	predecessor *takeover.Predecessor
}

// observe reads what the seed has, and what was noted.
func (r *reconciliation) observe(ctx context.Context) (err error) {
	if r.observed.installation, r.observed.configuration, err = managedresource.Find(ctx, r.Seed, r.extension.Namespace); err != nil {
		return err
	}
	r.observed.state, err = r.readState(ctx)
	return err
}

// observeShoot tells what the shoot has, by what the seed has. It asks the shoot only if the seed doesn't know: when the shoot is new, has come
// from another seed, got Flux from somebody else, or has it for its users to upgrade.
func (r *reconciliation) observeShoot(ctx context.Context) error {
	found := &r.observed
	found.migrating = found.state.Migrating
	if found.configuration != nil {
		found.configurationDigest = found.configuration.Labels[managedresource.ConfigurationDigestLabel]
	}
	if found.installation != nil {
		found.fluxVersion = found.installation.Labels[managedresource.FluxVersionLabel]
		found.migrating = found.installation.Labels[managedresource.MigratingLabel] == "true"
		found.protected = found.installation.Labels[managedresource.ProtectedLabel] == "true"
	}
	// That it is its users' is noted before gardener-resource-manager has been told so, which may take as long as that needs.
	if found.fluxVersion != "" && !managedresource.IsIgnored(found.installation) && !found.state.OwnedByUsers {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	definition, err := migration.InstalledDefinition(ctx, shootClient)
	if err != nil {
		return err
	}
	found.fluxVersion = migration.VersionOf(definition)
	found.protected = managedresource.CameFrom(definition, r.extension.Namespace) && render.IsProtected(definition.Annotations)
	found.deployer = takeover.DeployerOf(definition)
	return nil
}

// isComplete tells whether the shoot has a release with nothing but its own CustomResourceDefinitions, as far as the seed knows. If
// not, it is prepared for the release once more.
func (o *observed) isComplete(version string) bool {
	return o.installation != nil && o.fluxVersion == version && !o.migrating && !managedresource.IsPending(o.installation)
}

// definitions are the names of the CustomResourceDefinitions that gardener-resource-manager manages for the extension.
func (o *observed) definitions() []string {
	if o.installation == nil {
		return nil
	}
	var names []string
	for _, reference := range o.installation.Status.Resources {
		if reference.Kind == "CustomResourceDefinition" {
			names = append(names, reference.Name)
		}
	}
	return names
}

// hasDefinitions tells whether the shoot has these CustomResourceDefinitions and no others of the extension: a choice of components brings some, and
// takes some away. What gardener-resource-manager has not said yet does not count.
func (o *observed) hasDefinitions(definitions []*apiextensionsv1.CustomResourceDefinition) bool {
	has := o.definitions()
	return len(has) == 0 || sets.New(has...).Equal(sets.New(names(definitions)...))
}

// isInSeed tells whether there is something of the extension in the seed.
func (o *observed) isInSeed() bool {
	return o.installation != nil || o.configuration != nil
}

// isBeingDeleted tells whether something of the extension goes from the seed.
func (o *observed) isBeingDeleted() bool {
	return o.installation != nil && o.installation.DeletionTimestamp != nil || o.configuration != nil && o.configuration.DeletionTimestamp != nil
}

// wasInstalled tells whether there may be something of the extension in the shoot.
func (o *observed) wasInstalled() bool {
	return o.state.FluxVersion != ""
}

// hasApplied tells whether gardener-resource-manager has put something of a ManagedResource, which may be nil, into the shoot.
func hasApplied(managedResource *resourcesv1alpha1.ManagedResource) bool {
	return managedResource != nil && len(managedResource.Status.Resources) > 0
}
