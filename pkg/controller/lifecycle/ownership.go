// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// originShoot is FluxStatus.Origin of a Flux that belongs to the shoot's users.
const originShoot = "shoot"

// belongsToUsers tells whether the shoot's Flux is its users', who want it to be installed only once, and it has been.
func belongsToUsers(configuration *wanted, has *present) bool {
	if configuration.Installation != fluxv1alpha1.InstallationOnce {
		return false
	}
	switch {
	case has.installation == nil && has.state.FluxVersion != "": // they have it from another seed, unless that had not come so far
		return has.state.OwnedByUsers && has.fluxVersion != ""
	case has.installation == nil: // they have it from themselves, or from another seed of before there was a state
		return has.fluxVersion != "" && !has.protected
	case managedresource.IsIgnored(has.installation), has.state.OwnedByUsers: // what was noted first may not have been done yet
		return true
	default:
		return !has.migrating && !has.protected && managedresource.CheckApplied(has.installation) == nil
	}
}

// goesToUsers tells whether the shoot has a Flux that the extension has managed, and that its users are to have as it is.
func goesToUsers(configuration *wanted, has *present) bool {
	return configuration.Installation == fluxv1alpha1.InstallationOnce && has.installation != nil && !has.migrating && len(has.installation.Status.Resources) > 0
}

// usersFlux takes the Flux of the shoot's users as it is. What makes it follow the project's repository is rendered for the
// API versions that it serves.
func (a *Actuator) usersFlux(ctx context.Context, configuration *wanted, has *present) (*chosen, error) {
	theirs := &chosen{
		installation: &installation{Installation: &render.Installation{}},
		version:      has.fluxVersion,
		ofUsers:      true,
		status:       fluxv1alpha1.FluxStatus{Version: has.fluxVersion, Requested: configuration.Flux.Version, Origin: originShoot},
	}
	if configuration.Repository == nil {
		return theirs, nil
	}
	shootClient, err := has.shoot.get(ctx)
	if err != nil {
		return nil, err
	}
	var definitions []*unstructured.Unstructured
	for _, kind := range []flux.ObjectKind{flux.GitRepository.ObjectKind, flux.Kustomization} {
		name := kind.Definition()
		definition := &unstructured.Unstructured{}
		definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		if err := shootClient.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			return nil, fmt.Errorf("the Flux of the shoot belongs to its users (installation: once), and can't follow the project's repository without "+
				"CustomResourceDefinition %s: install it again, or set installation to managed", name)
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		definitions = append(definitions, definition)
	}
	theirs.Installation, err = render.AdoptInstallation(definitions)
	return theirs, err
}

// keepUsersFlux sees to it that a Flux of the shoot's users, which is deployed from the repository that it follows, does not delete itself when it
// is to follow another: also if it becomes the extension's at the same moment, whose objects may reach the shoot later than those that make it follow.
func keepUsersFlux(ctx context.Context, has *present, objects []client.Object) error {
	if has.deployer.Name == "" {
		return nil
	}
	shootClient, err := has.shoot.get(ctx)
	if err != nil {
		return err
	}
	return preventPruning(ctx, shootClient, has.deployer, objects)
}

// preventPruning annotates the Flux of a shoot if it could delete itself when the objects are written, or those that the shoot has go.
func preventPruning(ctx context.Context, shootClient client.Client, deployer client.ObjectKey, objects []client.Object) error {
	if prunes, err := takeover.PrunesFlux(ctx, shootClient, deployer, objects); err != nil || !prunes {
		return err
	}
	return ifUnfinished(removalFrom(shootClient).PreventPruning(ctx))
}

// leaveToUsers notes in the seed what is known about the Flux of the shoot's users. If the seed has no ManagedResource
// Installation yet, it gets one without objects.
func (a *Actuator) leaveToUsers(ctx context.Context, ex *extensionsv1alpha1.Extension, has *present, labels map[string]string, status fluxv1alpha1.FluxStatus) error {
	if err := a.note(ctx, ex, has, labels, status, true); err != nil {
		return err
	}
	if has.installation != nil {
		return mustFail(managedresource.SetLabels(ctx, a.Seed, has.installation, labels))
	}
	nothing, err := managedresource.Serialize(nil)
	if err != nil {
		return err
	}
	return mustFail(managedresource.Apply(ctx, a.Seed, ex.Namespace, managedresource.Installation, labels, nothing, nil))
}

// handOver leaves the installation to the shoot's users as soon as it is in the shoot, unprotected, if it is to be made only once. From
// then on gardener-resource-manager does nothing about it: the annotation on the whole ManagedResource, other than that on its objects, also
// lets users delete some of them.
func (a *Actuator) handOver(ctx context.Context, ex *extensionsv1alpha1.Extension, configuration *wanted) error {
	if configuration.Installation != fluxv1alpha1.InstallationOnce {
		return nil
	}
	installation, err := managedresource.Get(ctx, a.Seed, ex.Namespace, managedresource.Installation)
	if err != nil || installation == nil || managedresource.IsIgnored(installation) {
		return mustFail(err)
	}
	if err := managedresource.CheckApplied(installation); err != nil {
		return soon(time.Now(), fmt.Errorf("the shoot gets Flux, which then belongs to its users (installation: once): %w", err))
	}
	if _, err := a.writeState(ctx, ex, func(state *fluxv1alpha1.FluxState) { state.OwnedByUsers = true }); err != nil {
		return mustFail(err)
	}
	return mustFail(managedresource.Ignore(ctx, a.Seed, installation))
}
