// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// delete does what was chosen for a shoot in which the extension is switched off. The seed need not have any of the ManagedResources: after a
// move to it that came no farther, the state tells what there is to do. And their objects need not go with them: while a shoot leaves the seed,
// gardenlet makes all ManagedResources keep theirs.
//
// When the shoot itself is being deleted, its nodes are gone already, and Flux with them: then the objects are left to go with the
// shoot, and nothing waits for its API server. gardenlet has woken up a shoot that slept (runDeleteShootFlow), so that
// gardener-resource-manager is there to let go of its ManagedResources.
func (r *reconciliation) delete(ctx context.Context) error {
	if err := r.readShoot(ctx); err != nil {
		return err
	}
	if r.shoot.DeletionTimestamp != nil {
		return r.migrate(ctx)
	}
	return r.run(ctx, []step{{do: r.orphanPredecessor}, {do: r.observe}, {do: r.switchOff}, {do: r.checkReported}})
}

// migrate leaves everything in the shoot as it is.
func (r *reconciliation) migrate(ctx context.Context) error {
	return r.run(ctx, []step{{do: r.orphanAll}, {do: r.checkAllDeleted}, {do: r.checkReported}})
}

// switchOff does what is to be done in the shoot.
func (r *reconciliation) switchOff(ctx context.Context) error {
	state, sleeps := &r.observed.state, v1beta1helper.HibernationIsEnabled(r.shoot)
	switch {
	case !r.observed.isInSeed() && (!r.observed.wasInstalled() || state.RemovalPhase == fluxv1alpha1.RemovalFluxRemoved):
		return nil
	case sleeps && isMigrating(r.shoot):
		// gardenlet waits for it before it moves a sleeping shoot, whose nodes are gone, and on the other seed nobody knows of it.
		return r.run(ctx, []step{{do: r.orphanAll}, {do: r.checkAllDeleted}, {do: r.reportGivenUp}})
	case sleeps:
		// Neither its API server nor its gardener-resource-manager runs, and gardenlet does not wake it up for this. It does not
		// wait for this Extension either.
		return &reconcilerutils.RequeueAfterError{RequeueAfter: sleepingCheckInterval, Cause: errors.New("the shoot sleeps: what is to be removed from it goes when it wakes up")}
	}
	if state.RemovalPhase == "" && !r.observed.isBeingDeleted() { // else it has been said; what it waits for, Gardener's library logs
		r.log.Info("The extension has been switched off", "removalPolicy", state.RemovalPolicy)
	}
	if state.RemovalPolicy == fluxv1alpha1.RemovalKeepFlux {
		return r.run(ctx, r.stepsToKeepFlux())
	}
	begun, err := r.beginRemoval(ctx)
	switch {
	case err != nil:
		return err
	case !begun:
		return r.run(ctx, r.stepsToLeaveOthersFlux())
	}
	return r.run(ctx, r.stepsToRemoveFlux())
}

// stepsToKeepFlux leave all to the shoot's users. The installation, which knows the removal policy, goes last.
func (r *reconciliation) stepsToKeepFlux() []step {
	return []step{
		{do: r.unprotectConfiguration},
		{do: r.orphanConfiguration},
		{do: r.unprotectInstallation},
		{do: r.orphanInstallation},
	}
}

// stepsToLeaveOthersFlux leave a Flux alone that the extension has not installed, with all that its users have in it. What goes is what makes it
// follow the project's repository. Nothing is noted of how far that is: each step finds out by itself.
func (r *reconciliation) stepsToLeaveOthersFlux() []step {
	if r.keepsFollowed() {
		return []step{{do: r.unprotectConfiguration}, {do: r.orphanConfiguration}, {do: r.reportFluxStays}, {do: r.orphanInstallation}}
	}
	var steps []step
	if r.observed.state.RemovalPolicy == fluxv1alpha1.RemovalDeleteWorkloads {
		steps = []step{{do: r.preventPruningOfItself}, {do: r.deleteWorkloads}}
	}
	return append(steps,
		step{do: r.deleteFollowers},
		step{do: r.orphanConfiguration},
		step{do: r.reportFluxStays},
		step{do: r.orphanInstallation},
	)
}

// stepsToRemoveFlux remove Flux, and leave what it deployed, unless that is to be deleted first. The ManagedResource Installation goes last: while
// it is there, there may be something to do. By then its objects are gone, except for the namespace if that stays.
func (r *reconciliation) stepsToRemoveFlux() []step {
	var steps []step
	phase := r.observed.state.RemovalPhase
	if r.observed.state.RemovalPolicy == fluxv1alpha1.RemovalDeleteWorkloads && phase == fluxv1alpha1.RemovalBegun {
		steps = append(steps,
			step{do: r.checkOnlyFlux}, // before anything goes
			step{do: r.deleteWorkloads},
			step{do: r.advanceTo(fluxv1alpha1.RemovalWorkloadsDeleted)},
		)
	}
	if phase != fluxv1alpha1.RemovalFluxRemoved {
		steps = append(steps,
			step{do: r.checkOnlyFlux},
			step{do: r.stopFlux},
			step{do: r.deleteConfiguration},
			step{do: r.deleteInstallation},
			step{do: r.advanceTo(fluxv1alpha1.RemovalFluxRemoved)},
		)
	}
	return append(steps, step{do: r.orphanInstallation})
}

// checkAllDeleted says which ManagedResource is not gone yet.
func (r *reconciliation) checkAllDeleted(ctx context.Context) error {
	for _, name := range append(slices.Clone(managedresource.OfPredecessor), inOrderOfDeletion...) {
		if err := r.checkDeleted(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// checkDeleted says that a ManagedResource is not gone yet, and makes the controller come back soon.
func (r *reconciliation) checkDeleted(ctx context.Context, name string) error {
	managedResource, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, name)
	if err != nil || managedResource == nil {
		return err
	}
	since := time.Now()
	if managedResource.DeletionTimestamp != nil {
		since = managedResource.DeletionTimestamp.Time
	}
	return requeueSoon(since, managedresource.CheckDeleted(managedResource))
}

// isMigrating tells whether the shoot leaves the seed, or is about to.
func isMigrating(shoot *gardencorev1beta1.Shoot) bool {
	last := shoot.Status.LastOperation
	return last != nil && last.Type == gardencorev1beta1.LastOperationTypeMigrate ||
		shoot.Spec.SeedName != nil && shoot.Status.SeedName != nil && *shoot.Spec.SeedName != *shoot.Status.SeedName
}

// reportGivenUp tells people of a removal that comes to nothing.
func (r *reconciliation) reportGivenUp(ctx context.Context) error {
	r.log.Info("The shoot moves to another seed in its sleep, and Flux, which was to be removed from it, stays")
	return r.addNotices(ctx, newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxStays, "the shoot moves to another seed while it sleeps, so Flux, which was to be removed from it "+
		"when it wakes up, stays: when it is awake, switch the extension on and off once more"))
}

// reportFluxStays tells people that a Flux of their own is theirs again.
func (r *reconciliation) reportFluxStays(ctx context.Context) error {
	installation := r.observed.installation
	if !r.observed.state.OwnedByUsers || installation == nil || installation.DeletionTimestamp != nil { // else it has been noted
		return nil
	}
	follows := "It does not follow the project's repository any more"
	if r.keepsFollowed() {
		follows = "It follows what its users let it follow"
	}
	return r.addNotices(ctx, newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeFluxStays, "Flux stays in the shoot, because the extension has not installed it. "+follows))
}
