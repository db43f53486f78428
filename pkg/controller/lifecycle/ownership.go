// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// originShoot is FluxStatus.Origin of a Flux that belongs to the shoot's users.
const originShoot = "shoot"

// isOwnedByUsers tells whether the shoot's Flux is its users', who want it to be installed only once, and it has been.
func (r *reconciliation) isOwnedByUsers() bool {
	if r.desired.Installation != fluxv1alpha1.InstallationOnce {
		return false
	}
	found := &r.observed
	switch {
	case found.installation == nil && found.state.FluxVersion != "": // they have it from another seed, unless that had not come so far
		return found.state.OwnedByUsers && found.fluxVersion != ""
	case found.installation == nil: // they have it from themselves, or from another seed of before there was a state
		return found.fluxVersion != "" && !found.protected
	case managedresource.IsIgnored(found.installation), found.state.OwnedByUsers: // what was noted first may not have been done yet
		return true
	default:
		return !found.migrating && !found.protected && managedresource.CheckApplied(found.installation) == nil
	}
}

// isLeftToUsers tells whether the shoot has a Flux that the extension has managed, and that its users are to have as it is.
func (r *reconciliation) isLeftToUsers() bool {
	return r.desired.Installation == fluxv1alpha1.InstallationOnce && hasApplied(r.observed.installation) && !r.observed.migrating
}

// isFluxOfUsers tells whether only the shoot's users can upgrade Flux, so that a configured version changes nothing.
func (r *reconciliation) isFluxOfUsers() bool { return r.desired.ownedByUsers || r.isLeftToUsers() }

// chooseUsersFlux takes the Flux of the shoot's users as it is. What makes it follow the project's repository is rendered for the
// API versions that it serves.
func (r *reconciliation) chooseUsersFlux(ctx context.Context) error {
	r.desired.ownedByUsers, r.desired.version = true, r.observed.fluxVersion
	r.desired.release = &renderedRelease{Installation: &render.Installation{}}
	r.desired.status = fluxv1alpha1.FluxStatus{Version: r.observed.fluxVersion, Requested: r.desired.Flux.Version, Origin: originShoot}
	if was := r.observed.state.RequestedVersion; was != "" && was != r.desired.Flux.Version && !isRelease(r.desired.Flux.Version, r.observed.fluxVersion) {
		r.desired.notices = append(r.desired.notices, newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFieldIgnored, fmt.Sprintf("version %s of Flux has no effect: "+
			"Flux belongs to the shoot's users, who can upgrade it (installation: once); to let the extension do that, %s", r.desired.Flux.Version, r.desired.origins.ManageFlux(r.desired.SyncMode))))
	}
	kinds := render.FollowedKinds(r.desired.FluxConfig)
	if len(kinds) == 0 {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	var definitions []*unstructured.Unstructured
	for _, kind := range kinds {
		name := kind.Definition()
		definition := &unstructured.Unstructured{}
		definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
		if err := shootClient.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			return fmt.Errorf("the Flux of the shoot belongs to its users (installation: once), and can't follow the project's repository without "+
				"CustomResourceDefinition %s: install it again, or %s", name, r.desired.origins.ManageFlux(r.desired.SyncMode))
		} else if err != nil {
			return fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		definitions = append(definitions, definition)
	}
	r.desired.release.Installation, err = render.AdoptInstallation(definitions)
	return err
}

// preventPruning sees to it that a Flux of the shoot's users, which is deployed from the repository that it follows, does not delete itself when it
// is to follow another: also if it becomes the extension's at the same moment, whose objects may reach the shoot later than those that make it follow.
func (r *reconciliation) preventPruning(ctx context.Context) error {
	if r.observed.deployer.Name == "" || r.isFollowedOnce() { // nothing is written over
		return nil
	}
	if len(r.desired.found) > 0 && !r.hasRoot() { // nor does anything go
		return nil
	}
	return r.preventPruningBy(ctx, r.observed.deployer, r.desired.objects)
}

// preventPruningBy annotates the Flux of a shoot if it could delete itself when the objects are written, or those that the shoot has go.
func (r *reconciliation) preventPruningBy(ctx context.Context, deployer client.ObjectKey, objects []client.Object) error {
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	if prunes, err := takeover.PrunesFlux(ctx, from.Shoot, deployer, rootIn(r.observed.state), objects); err != nil || !prunes {
		return err
	}
	return requeueUnfinished(from.PreventPruning(ctx))
}

// recordUsersFlux notes in the seed what is known about the Flux of the shoot's users. If the seed has no ManagedResource
// Installation yet, it gets one without objects.
func (r *reconciliation) recordUsersFlux(ctx context.Context) error {
	if err := r.deleteFormer(ctx); err != nil {
		return err
	}
	labels := r.installationLabels(false)
	if err := r.recordInstallation(ctx, labels, true); err != nil {
		return err
	}
	if r.observed.installation != nil {
		return mustFail(managedresource.SetLabels(ctx, r.Seed, r.observed.installation, labels))
	}
	nothing, err := managedresource.Serialize(nil)
	if err != nil {
		return err
	}
	return mustFail(managedresource.Apply(ctx, r.Seed, r.extension.Namespace, managedresource.Installation, labels, nothing, nil))
}

// isRelease tells whether what is configured as version is a release and no range, and the one that is installed.
func isRelease(configured, installed string) bool {
	release, err := version.Parse(configured)
	return err == nil && version.Tag(release) == installed
}

// isHandedOver tells whether a Flux that the extension has managed becomes its users' now.
func (r *reconciliation) isHandedOver() bool {
	return r.isLeftToUsers() && r.observed.protected
}

// describeHandover tells the shoot's owner that the extension will do less than before, because of what, and how to have that back: it may have been
// meant for something else.
func (r *reconciliation) describeHandover() fluxv1alpha1.Notice {
	says, written := r.desired.origins.WhoLeavesFlux(r.desired.SyncMode)
	back := r.desired.origins.ManageFlux(r.desired.SyncMode)
	if r.desired.SyncMode == fluxv1alpha1.SyncOnce {
		back += ", and " + r.desired.origins.ManageFollowed()
	}
	return newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeLeftToUsers, fmt.Sprintf("Flux %s, which the extension has managed, belongs to the shoot's users from now on, "+
		"as it is: it is neither upgraded nor repaired any more (%s, which comes from %s). To take it back, %s", r.observed.fluxVersion, says, written.Cause(), back))
}

// noteRequestedVersion notes for which version the installation was made, or was there, that becomes its users': another one has no effect from then on. Of
// a Flux that the extension has managed, it is what was configured until now.
func (r *reconciliation) noteRequestedVersion(state *fluxv1alpha1.FluxState, ownedByUsers bool) {
	switch {
	case state.OwnedByUsers && ownedByUsers: // it is noted
	case !ownedByUsers && r.desired.Installation != fluxv1alpha1.InstallationOnce:
		state.RequestedVersion = ""
	case r.isHandedOver():
		state.RequestedVersion = cmp.Or(fluxv1alpha1.StatusOf(r.extension).Requested, r.observed.fluxVersion)
	case r.isLeftToUsers() && state.RequestedVersion != "": // it is under way
	default:
		state.RequestedVersion = r.desired.Flux.Version
	}
}

// transferOwnership leaves the installation to the shoot's users as soon as it is in the shoot, unprotected, if it is to be made only once. From
// then on gardener-resource-manager does nothing about it: the annotation on the whole ManagedResource, other than that on its objects, also
// lets users delete some of them.
func (r *reconciliation) transferOwnership(ctx context.Context) error {
	if r.desired.Installation != fluxv1alpha1.InstallationOnce {
		return nil
	}
	installation, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, managedresource.Installation)
	if err != nil || installation == nil || managedresource.IsIgnored(installation) {
		return mustFail(err)
	}
	if err := managedresource.CheckApplied(installation); err != nil {
		return requeueSoon(time.Now(), fmt.Errorf("the shoot gets Flux, which then belongs to its users (installation: once): %w", err))
	}
	left := func(state *fluxv1alpha1.FluxState) {
		r.noteRequestedVersion(state, true)
		state.OwnedByUsers = true
	}
	if _, err := r.writeState(ctx, left); err != nil {
		return mustFail(err)
	}
	return mustFail(managedresource.Ignore(ctx, r.Seed, installation))
}
