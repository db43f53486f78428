// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// checkInterval is how soon the controller looks again whether others have done what it waits for. If they take long, it
	// looks less and less often, down to maxCheckInterval.
	checkInterval    = 2 * time.Second
	maxCheckInterval = time.Minute
	// sleepingCheckInterval is how soon the controller looks again whether a shoot has woken up. It hardly matters: gardenlet
	// touches a stale Extension whenever it reconciles the Shoot.
	sleepingCheckInterval = 5 * time.Minute
)

// inOrderOfDeletion are the ManagedResources, the configuration before the installation that brings its kinds.
var inOrderOfDeletion = []string{managedresource.Configuration, managedresource.Installation}

// Delete does what was chosen for a shoot in which the extension is switched off. It returns an error that says what it waits
// for until all is done, and can be interrupted anywhere. The seed need not have any of the ManagedResources: after a move to it that
// came no farther, the state tells what there is to do. And their objects need not go with them: while a shoot leaves the seed, gardenlet
// makes all ManagedResources keep theirs.
//
// When the shoot itself is being deleted, its nodes are gone already, and Flux with them: then the objects are left to go with the
// shoot, and nothing waits for its API server. gardenlet has woken up a shoot that slept (runDeleteShootFlow), so that
// gardener-resource-manager is there to let go of its ManagedResources.
func (a *Actuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer metrics.ObserveOperation(metrics.OperationDelete, time.Now(), &err)
	if err := a.delete(ctx, log, ex); err != nil {
		return err
	}
	return untilReported(ex)
}

func (a *Actuator) delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	shoot, err := a.shoot(ctx, ex.Namespace)
	if err != nil {
		return err
	}
	log = log.WithValues("project", shoot.Namespace, "shoot", shoot.Name)
	if shoot.DeletionTimestamp != nil {
		return a.release(ctx, ex.Namespace)
	}
	if err := a.releasePredecessor(ctx, ex.Namespace); err != nil {
		return err
	}

	has, err := a.findInstalled(ctx, ex)
	switch {
	case err != nil:
		return err
	case !has.inSeed() && (!has.wasInstalled() || has.state.RemovalPhase == fluxv1alpha1.RemovalFluxRemoved):
		return nil
	case v1beta1helper.HibernationIsEnabled(shoot) && isMigrating(shoot):
		return a.leaveBehind(ctx, log, ex)
	case v1beta1helper.HibernationIsEnabled(shoot):
		// Neither its API server nor its gardener-resource-manager runs, and gardenlet does not wake it up for this. It does not
		// wait for this Extension either.
		return &reconcilerutils.RequeueAfterError{RequeueAfter: sleepingCheckInterval, Cause: errors.New("the shoot sleeps: what is to be removed from it goes when it wakes up")}
	}

	policy := has.state.RemovalPolicy
	log.Info("The extension has been switched off", "removalPolicy", policy, "phase", has.state.RemovalPhase)
	if policy == fluxv1alpha1.RemovalKeepFlux {
		return a.letGo(ctx, ex.Namespace, has)
	}
	switch begun, err := a.beginRemoval(ctx, ex, has); {
	case err != nil:
		return err
	case !begun:
		return a.withdraw(ctx, ex, has)
	}
	if policy == fluxv1alpha1.RemovalDeleteWorkloads && has.state.RemovalPhase == fluxv1alpha1.RemovalBegun {
		if err := a.checkOnlyFlux(ctx, ex.Namespace); err != nil { // before anything goes
			return err
		}
		if err := a.deleteWorkloadsFirst(ctx, ex, has); err != nil {
			return err
		}
	}
	return a.removeFlux(ctx, ex, has)
}

// beginRemoval tells whether the Flux in the shoot is to be removed, and notes that before anything is.
func (a *Actuator) beginRemoval(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed) (bool, error) {
	if has.state.RemovalPhase != "" {
		return true, nil
	}
	if ours, err := a.isOurs(ctx, ex.Namespace, has); err != nil || !ours {
		return false, err
	}
	return true, a.advance(ctx, ex, has, fluxv1alpha1.RemovalBegun)
}

// isOurs tells whether the extension has installed the Flux in the shoot. Where this seed has put nothing into the shoot, it may have come
// with the shoot from another one. But it may as well be somebody else's: with installation: once, the seed has a ManagedResource without
// objects for it, and what was to be installed may never have come into the shoot.
func (a *Actuator) isOurs(ctx context.Context, namespace string, has *installed) (bool, error) {
	if hasApplied(has.installation) {
		return true, nil
	}
	if err := a.quiet(ctx, has.installation); err != nil { // else it could come after the look
		return false, err
	}
	shootClient, err := shoot.NewClient(ctx, a.Seed, namespace)
	if err != nil {
		return false, err
	}
	ours, err := removalFrom(shootClient).CameFrom(ctx, managedresource.Installation)
	return ours, explain(err)
}

// advance notes how far the removal has come.
func (a *Actuator) advance(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed, phase fluxv1alpha1.RemovalPhase) (err error) {
	has.state, err = a.writeState(ctx, ex, func(state *fluxv1alpha1.FluxState) { state.RemovalPhase = phase })
	return err
}

// isMigrating tells whether the shoot leaves the seed, or is about to.
func isMigrating(shoot *gardencorev1beta1.Shoot) bool {
	last := shoot.Status.LastOperation
	return last != nil && last.Type == gardencorev1beta1.LastOperationTypeMigrate ||
		shoot.Spec.SeedName != nil && shoot.Status.SeedName != nil && *shoot.Spec.SeedName != *shoot.Status.SeedName
}

// leaveBehind gives up a removal: gardenlet waits for it before it moves a sleeping shoot, whose nodes are gone, and on the other seed
// nobody knows of it.
func (a *Actuator) leaveBehind(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	if err := a.release(ctx, ex.Namespace); err != nil {
		return err
	}
	log.Info("The shoot moves to another seed in its sleep, and Flux, which was to be removed from it, stays")
	return a.addNotices(ctx, ex, newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxStays, "the shoot moves to another seed while it sleeps, so Flux, which was to be removed from it "+
		"when it wakes up, stays: when it is awake, switch the extension on and off once more"))
}

// ForceDelete forgets the shoot without waiting for anything.
func (a *Actuator) ForceDelete(ctx context.Context, _ logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer metrics.ObserveOperation(metrics.OperationForceDelete, time.Now(), &err)
	return a.releaseAll(ctx, ex.Namespace)
}

// Migrate leaves everything in the shoot as it is for the seed that takes over.
func (a *Actuator) Migrate(ctx context.Context, _ logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer metrics.ObserveOperation(metrics.OperationMigrate, time.Now(), &err)
	if err := a.release(ctx, ex.Namespace); err != nil {
		return err
	}
	return untilReported(ex)
}

// release deletes all ManagedResources at once but leaves their objects in the shoot.
func (a *Actuator) release(ctx context.Context, namespace string) error {
	if err := a.releaseAll(ctx, namespace); err != nil {
		return err
	}
	for _, name := range append(slices.Clone(managedresource.OfPredecessor), inOrderOfDeletion...) {
		if err := a.checkDeleted(ctx, namespace, name); err != nil {
			return err
		}
	}
	return nil
}

func (a *Actuator) releaseAll(ctx context.Context, namespace string) error {
	if err := a.releasePredecessor(ctx, namespace); err != nil {
		return err
	}
	for _, name := range inOrderOfDeletion {
		if err := managedresource.Release(ctx, a.Seed, namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// letGo does the same one after the other: the installation, which knows the removal policy, goes last. What stays is the shoot's users'.
func (a *Actuator) letGo(ctx context.Context, namespace string, has *installed) error {
	for _, name := range inOrderOfDeletion {
		if isTheirs := name == managedresource.Installation && has.state.OwnedByUsers; !isTheirs {
			if err := a.unprotect(ctx, namespace, name, has.managedResource(name)); err != nil {
				return err
			}
		}
		if err := a.releaseOne(ctx, namespace, name); err != nil {
			return err
		}
	}
	return nil
}

// releaseOne deletes a ManagedResource but leaves its objects in the shoot, and says so until it is gone.
func (a *Actuator) releaseOne(ctx context.Context, namespace, name string) error {
	if err := managedresource.Release(ctx, a.Seed, namespace, name); err != nil {
		return err
	}
	return a.checkDeleted(ctx, namespace, name)
}

// remove deletes the ManagedResource of the given name with its objects.
func (a *Actuator) remove(ctx context.Context, namespace, name string) error {
	if err := managedresource.Delete(ctx, a.Seed, namespace, name); err != nil {
		return err
	}
	return a.checkDeleted(ctx, namespace, name)
}

func (a *Actuator) checkDeleted(ctx context.Context, namespace, name string) error {
	managedResource, err := managedresource.Get(ctx, a.Seed, namespace, name)
	if err != nil || managedResource == nil {
		return err
	}
	since := time.Now()
	if managedResource.DeletionTimestamp != nil {
		since = managedResource.DeletionTimestamp.Time
	}
	return soon(since, managedresource.CheckDeleted(managedResource))
}

// soon makes the controller come back soon, instead of waiting in its worker: the sooner, the shorter the time since something last
// happened. That is read from what it waits for, so that a restart changes nothing. (Gardener's library understands it when
// something is deleted, but not when it is reconciled.)
func soon(since time.Time, err error) error {
	if err == nil {
		return nil
	}
	return &reconcilerutils.RequeueAfterError{RequeueAfter: untilNextCheck(time.Since(since)), Cause: err}
}

// untilNextCheck is a tenth of the time that has been waited, within limits.
func untilNextCheck(waited time.Duration) time.Duration {
	return min(max(waited/10, checkInterval), maxCheckInterval)
}

// ifUnfinished makes the controller come back soon if an error says that there is more to do.
func ifUnfinished(err error) error {
	if _, unfinished := errors.AsType[*shoot.Unfinished](err); unfinished {
		return soon(time.Now(), err)
	}
	return err
}

// installed is what is known about what is to be removed from a shoot.
type installed struct {
	// installation and configuration are nil if the seed has none.
	installation, configuration *resourcesv1alpha1.ManagedResource
	// state is what was noted, on this seed or on another one.
	state fluxv1alpha1.FluxState
}

func (a *Actuator) findInstalled(ctx context.Context, ex *extensionsv1alpha1.Extension) (*installed, error) {
	installation, configuration, err := managedresource.Find(ctx, a.Seed, ex.Namespace)
	if err != nil {
		return nil, err
	}
	state, err := a.readState(ctx, ex, installation)
	return &installed{installation: installation, configuration: configuration, state: state}, err
}

// managedResource returns the ManagedResource of the given name, or nil.
func (i *installed) managedResource(name string) *resourcesv1alpha1.ManagedResource {
	if name == managedresource.Configuration {
		return i.configuration
	}
	return i.installation
}

// inSeed tells whether there is something of the extension in the seed.
func (i *installed) inSeed() bool {
	return i.installation != nil || i.configuration != nil
}

// wasInstalled tells whether there may be something of the extension in the shoot.
func (i *installed) wasInstalled() bool {
	return i.state.FluxVersion != ""
}
