// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	corev1 "k8s.io/api/core/v1"

	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// removal is the removal of the extension's Flux from the shoot.
func (r *reconciliation) removal(ctx context.Context) (removal.Removal, error) {
	shootClient, err := r.connectToShoot(ctx)
	state := r.observed.state
	namespace := namespaceIn(state)
	if r.desired.FluxConfig != nil { // nothing may be noted yet
		namespace = r.desired.Flux.Namespace
	}
	return removal.Removal{
		Shoot: shootClient, Namespace: namespace,
		Source: flux.KeyOf(state.Source, namespace), Kustomization: flux.KeyOf(state.Kustomization, namespace),
		LeftSource: leftSource(state),
	}, err
}

// leftSource is the kind of the source that the extension has made, and left to the shoot's users, or none.
func leftSource(state fluxv1alpha1.FluxState) flux.SourceKind {
	if state.FollowedOnce != fluxv1alpha1.FollowedOnceMade {
		return flux.SourceKind{}
	}
	return flux.SourceKindNamed(state.SourceKind)
}

// beginRemoval tells whether the Flux in the shoot is to be removed, and notes that before anything is.
func (r *reconciliation) beginRemoval(ctx context.Context) (bool, error) {
	if r.observed.state.RemovalPhase != "" {
		return true, nil
	}
	if ours, err := r.isOurs(ctx); err != nil || !ours {
		return false, err
	}
	return true, r.advanceTo(fluxv1alpha1.RemovalBegun)(ctx)
}

// isOurs tells whether the extension has installed the Flux in the shoot. Where this seed has put nothing into the shoot, it may have come
// with the shoot from another one. But it may as well be somebody else's: with installation: once, the seed has a ManagedResource without
// objects for it, and what was to be installed may never have come into the shoot.
func (r *reconciliation) isOurs(ctx context.Context) (bool, error) {
	if hasApplied(r.observed.installation) {
		return true, nil
	}
	if err := r.ensureIgnored(ctx, r.observed.installation); err != nil { // else it could come after the look
		return false, err
	}
	from, err := r.removal(ctx)
	if err != nil {
		return false, err
	}
	ours, err := from.CameFrom(ctx, managedresource.Installation)
	return ours, explainNoAnswer(err)
}

// advanceTo is the step that notes how far the removal has come.
func (r *reconciliation) advanceTo(phase fluxv1alpha1.RemovalPhase) func(context.Context) error {
	return func(ctx context.Context) (err error) {
		if r.observed.state, err = r.writeState(ctx, func(state *fluxv1alpha1.FluxState) { state.RemovalPhase = phase }); err != nil {
			return err
		}
		r.log.Info("The removal of Flux has come farther", "removalPolicy", r.observed.state.RemovalPolicy, "phase", phase)
		return nil
	}
}

// checkOnlyFlux keeps a removal from what would make another Flux of the shoot delete what it has deployed. Nobody tells when that is
// stopped, so it is looked again now and then.
func (r *reconciliation) checkOnlyFlux(ctx context.Context) error {
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	err = from.CheckOnlyFlux(ctx)
	if _, other := errors.AsType[*removal.OtherFluxError](err); other {
		return &reconcilerutils.RequeueAfterError{RequeueAfter: otherFluxCheckInterval, Cause: err}
	}
	return explainNoAnswer(err)
}

// stopFlux stops Flux for good, and makes its objects such that their deletion deletes nothing else and needs no controller.
func (r *reconciliation) stopFlux(ctx context.Context) error {
	if err := r.ensureIgnored(ctx, r.observed.installation); err != nil {
		return err
	}
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	applied, err := r.references().Of(ctx, r.Seed, r.observed.installation)
	if err != nil {
		return err
	}
	left, err := from.StopControllers(ctx, applied)
	if err != nil {
		return requeueUnfinished(explainNoAnswer(err))
	}
	if len(left) > 0 {
		return requeueSoon(left.Since(), fmt.Errorf("the controllers of Flux are still being stopped in the shoot: %s", left))
	}
	return requeueUnfinished(explainNoAnswer(from.DropFinalizers(ctx, applied)))
}

// stopFluxOfDeletedShoot stops Flux in a shoot whose deletion has begun, while it still has nodes: Flux would bring back what
// Gardener deletes, and Gardener would wait for Flux's finalizers.
func (r *reconciliation) stopFluxOfDeletedShoot(ctx context.Context) error {
	if !r.observed.isInSeed() {
		if !r.observed.wasInstalled() {
			return nil
		}
		if !r.observed.state.OwnedByUsers { // what was to be installed may never have come into the shoot
			if ours, err := r.isOurs(ctx); err != nil || !ours {
				return err
			}
		}
	}
	return reconcilerutils.ReconcileErrCauseOrErr(r.stopFlux(ctx))
}

// deleteInstallation deletes what Flux was installed with from the shoot, and tells people if its namespace stays.
func (r *reconciliation) deleteInstallation(ctx context.Context) error {
	installation := r.observed.installation
	applied, err := r.references().Of(ctx, r.Seed, installation)
	if err != nil {
		return err
	}
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	left, err := from.DeleteInstallation(ctx, applied)
	if err != nil {
		return requeueUnfinished(explainNoAnswer(err))
	}
	kept := ""
	switch {
	case len(left) > 0:
	case r.observed.state.NamespaceOfUsers:
		if err := from.GiveBackNamespace(ctx); err != nil {
			return requeueUnfinished(explainNoAnswer(err))
		}
		kept = from.DescribeUsers()
	default:
		contents, err := shoot.NewContents(ctx, r.Seed, r.extension.Namespace)
		if err != nil {
			return err
		}
		if kept, left, err = from.DeleteNamespace(ctx, contents); err != nil {
			return explainNoAnswer(err)
		}
		if kept != "" {
			kept = from.DescribeKept(kept)
		}
	}
	if len(left) > 0 {
		return requeueSoon(left.Since(), fmt.Errorf("what Flux was installed with is still being deleted from the shoot: %s", left))
	}
	if kept != "" && (installation == nil || installation.DeletionTimestamp == nil) { // else it has been noted
		return r.addNotices(ctx, newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeNamespaceKept, kept))
	}
	return nil
}

// deleteWorkloads lets Flux delete what it deployed from the project's repository. It is done as soon as no object of Flux
// waits for its controller any more: a Kustomization that deletes others goes when they are being deleted.
func (r *reconciliation) deleteWorkloads(ctx context.Context) error {
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	// Without controllers, nobody could do it. That is so when the repository holds Flux itself, and Flux has begun with that.
	if works, err := from.HasControllers(ctx); err != nil || !works {
		return explainNoAnswer(err)
	}
	if err := r.deleteRoot(ctx, from); err != nil {
		return err
	}
	// In this order: when the root Kustomization is gone, those that it deployed are being deleted.
	deleted := r.checkDeleted(ctx, managedresource.Configuration)
	applied, err := r.references().Of(ctx, r.Seed, r.observed.installation)
	if err != nil {
		return err
	}
	left, err := from.Terminating(ctx, applied)
	if err != nil {
		return requeueUnfinished(explainNoAnswer(err))
	}
	if len(left) > 0 {
		return requeueSoon(left.Since(), fmt.Errorf("Flux is still deleting what it deployed (removalPolicy: %s): %s; if it can't, remove the finalizers of these objects in the shoot, "+
			"and what they deployed stays", fluxv1alpha1.RemovalDeleteWorkloads, left))
	}
	return deleted
}

// deleteRoot deletes the root Kustomization, whose deletion deletes what it deployed: with ManagedResource Configuration, or without.
func (r *reconciliation) deleteRoot(ctx context.Context, from removal.Removal) error {
	configuration := r.observed.configuration
	if configuration != nil && configuration.DeletionTimestamp == nil {
		if err := r.ensureIgnored(ctx, configuration); err != nil {
			return err
		}
		if err := from.PruneOnDeletion(ctx, managedresource.Configuration); err != nil {
			return explainNoAnswer(err)
		}
	}
	left := r.observed.state.FollowedOnce != "" // then it need not go with the ManagedResource
	if err := managedresource.Delete(ctx, r.Seed, r.extension.Namespace, managedresource.Configuration); err != nil || configuration != nil && !left {
		return err
	}
	return explainNoAnswer(from.DeleteRoot(ctx, managedresource.Configuration))
}

// preventPruningOfItself sees to it that somebody else's Flux, which deploys itself, outlives the deletion of what it deployed.
func (r *reconciliation) preventPruningOfItself(ctx context.Context) error {
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	definition, err := migration.InstalledDefinition(ctx, shootClient)
	if err != nil {
		return explainNoAnswer(err)
	}
	return r.preventPruningBy(ctx, takeover.DeployerOf(definition), nil)
}

// deleteFollowers deletes in the shoot what makes its users' Flux follow the project's repository, and nothing that Flux deployed from there.
func (r *reconciliation) deleteFollowers(ctx context.Context) error {
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	if follows, err := from.Follows(ctx, managedresource.Configuration); err != nil || !follows {
		return explainNoAnswer(err)
	}
	if err := r.ensureIgnored(ctx, r.observed.configuration); err != nil {
		return err
	}
	left, err := from.DeleteFollowers(ctx, managedresource.Configuration)
	if err != nil {
		return explainNoAnswer(err)
	}
	if len(left) > 0 {
		return requeueSoon(left.Since(), fmt.Errorf("what makes Flux follow the project's repository is still being deleted from the shoot: %s", left))
	}
	return nil
}

// explainNoAnswer adds to an error of a request to the shoot what it means if there was no answer.
func explainNoAnswer(err error) error {
	var noAnswer *url.Error
	if errors.As(err, &noAnswer) {
		return fmt.Errorf("the API server of the shoot, or a webhook that it asks, does not answer, and Flux can't be removed before it does: %w", err)
	}
	return err
}
