// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// removeFlux removes Flux, and leaves what it deployed. The ManagedResource Installation goes last: while it is there, there may be
// something to do. By then its objects are gone, except for the namespace if that stays.
func (a *Actuator) removeFlux(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed) error {
	if has.state.RemovalPhase != fluxv1alpha1.RemovalFluxRemoved {
		if err := a.removeFluxFromShoot(ctx, ex, has); err != nil {
			return err
		}
		if err := a.advance(ctx, ex, has, fluxv1alpha1.RemovalFluxRemoved); err != nil {
			return err
		}
	}
	return a.releaseOne(ctx, ex.Namespace, managedresource.Installation)
}

func (a *Actuator) removeFluxFromShoot(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed) error {
	if err := a.checkOnlyFlux(ctx, ex.Namespace); err != nil {
		return err
	}
	if err := a.disarm(ctx, ex.Namespace, has.installation); err != nil {
		return err
	}
	if err := a.remove(ctx, ex.Namespace, managedresource.Configuration); err != nil {
		return err
	}
	return a.deleteInstallation(ctx, ex, has.installation)
}

// removalFrom is the removal of the extension's Flux from a shoot.
func removalFrom(shootClient client.Client) removal.Removal {
	return removal.Removal{Shoot: shootClient, Namespace: flux.Namespace}
}

// deleteInstallation deletes what Flux was installed with from the shoot, and tells people if its namespace stays.
func (a *Actuator) deleteInstallation(ctx context.Context, ex *extensionsv1alpha1.Extension, installation *resourcesv1alpha1.ManagedResource) error {
	applied, err := a.references().Of(ctx, a.Seed, installation)
	if err != nil {
		return err
	}
	shootClient, err := shoot.NewClient(ctx, a.Seed, ex.Namespace)
	if err != nil {
		return err
	}
	left, err := removalFrom(shootClient).DeleteInstallation(ctx, applied)
	if err != nil {
		return ifUnfinished(explain(err))
	}
	kept := ""
	if len(left) == 0 {
		contents, err := shoot.NewContents(ctx, a.Seed, ex.Namespace)
		if err != nil {
			return err
		}
		if kept, left, err = removalFrom(shootClient).DeleteNamespace(ctx, contents); err != nil {
			return explain(err)
		}
	}
	if len(left) > 0 {
		return soon(left.Since(), fmt.Errorf("what Flux was installed with is still being deleted from the shoot: %s", left))
	}
	if kept != "" && (installation == nil || installation.DeletionTimestamp == nil) { // else it has been noted
		return a.addNotices(ctx, ex, newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeNamespaceKept, removalFrom(shootClient).DescribeKept(kept)))
	}
	return nil
}

// prepareForDeletion stops Flux in a shoot whose deletion has begun, while it still has nodes: Flux would bring back what
// Gardener deletes, and Gardener would wait for Flux's finalizers.
func (a *Actuator) prepareForDeletion(ctx context.Context, ex *extensionsv1alpha1.Extension) error {
	has, err := a.findInstalled(ctx, ex)
	if err != nil || !has.inSeed() && !has.wasInstalled() {
		return err
	}
	if !has.inSeed() && !has.state.OwnedByUsers { // what was to be installed may never have come into the shoot
		if ours, err := a.isOurs(ctx, ex.Namespace, has); err != nil || !ours {
			return err
		}
	}
	return reconcilerutils.ReconcileErrCauseOrErr(a.disarm(ctx, ex.Namespace, has.installation))
}

// disarm stops Flux for good, and makes its objects such that their deletion deletes nothing else and needs no controller.
func (a *Actuator) disarm(ctx context.Context, namespace string, installation *resourcesv1alpha1.ManagedResource) error {
	if err := a.quiet(ctx, installation); err != nil {
		return err
	}
	shootClient, err := shoot.NewClient(ctx, a.Seed, namespace)
	if err != nil {
		return err
	}
	applied, err := a.references().Of(ctx, a.Seed, installation)
	if err != nil {
		return err
	}
	left, err := removalFrom(shootClient).StopControllers(ctx, applied)
	if err != nil {
		return ifUnfinished(explain(err))
	}
	if len(left) > 0 {
		return soon(left.Since(), fmt.Errorf("the controllers of Flux are still being stopped in the shoot: %s", left))
	}
	return ifUnfinished(explain(removalFrom(shootClient).DropFinalizers(ctx, applied)))
}

// deleteWorkloadsFirst lets Flux delete what it deployed, before it goes itself.
func (a *Actuator) deleteWorkloadsFirst(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed) error {
	shootClient, err := shoot.NewClient(ctx, a.Seed, ex.Namespace)
	if err != nil {
		return err
	}
	if err := a.deleteWorkloads(ctx, ex.Namespace, has, shootClient); err != nil {
		return err
	}
	return a.advance(ctx, ex, has, fluxv1alpha1.RemovalWorkloadsDeleted)
}

// withdraw leaves a Flux alone that the extension has not installed, with all that its users have in it. What goes is what makes it follow the
// project's repository. Nothing is noted of how far that is: each step finds out by itself.
func (a *Actuator) withdraw(ctx context.Context, ex *extensionsv1alpha1.Extension, has *installed) error {
	shootClient, err := shoot.NewClient(ctx, a.Seed, ex.Namespace)
	if err != nil {
		return err
	}
	if has.state.RemovalPolicy == fluxv1alpha1.RemovalDeleteWorkloads {
		definition, err := migration.InstalledDefinition(ctx, shootClient)
		if err != nil {
			return explain(err)
		}
		if err := preventPruning(ctx, shootClient, takeover.DeployerOf(definition), nil); err != nil {
			return err
		}
		if err := a.deleteWorkloads(ctx, ex.Namespace, has, shootClient); err != nil {
			return err
		}
	}
	if err := a.stopFollowing(ctx, has.configuration, shootClient); err != nil {
		return err
	}
	if err := a.releaseOne(ctx, ex.Namespace, managedresource.Configuration); err != nil {
		return err
	}
	if has.state.OwnedByUsers && has.installation != nil && has.installation.DeletionTimestamp == nil { // else it has been noted
		stays := newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeFluxStays, "Flux stays in the shoot, because the extension has not installed it. "+
			"It does not follow the project's repository any more")
		if err := a.addNotices(ctx, ex, stays); err != nil {
			return err
		}
	}
	return a.releaseOne(ctx, ex.Namespace, managedresource.Installation)
}

// stopFollowing deletes in the shoot what makes its users' Flux follow the project's repository, and nothing that Flux deployed from there.
func (a *Actuator) stopFollowing(ctx context.Context, configuration *resourcesv1alpha1.ManagedResource, shootClient client.Client) error {
	if follows, err := removalFrom(shootClient).Follows(ctx, managedresource.Configuration); err != nil || !follows {
		return explain(err)
	}
	if err := a.quiet(ctx, configuration); err != nil {
		return err
	}
	left, err := removalFrom(shootClient).Withdraw(ctx, managedresource.Configuration)
	if err != nil {
		return explain(err)
	}
	if len(left) > 0 {
		return soon(left.Since(), fmt.Errorf("what makes Flux follow the project's repository is still being deleted from the shoot: %s", left))
	}
	return nil
}

// deleteWorkloads lets Flux delete what it deployed from the project's repository. It is done as soon as no object of Flux
// waits for its controller any more: a Kustomization that deletes others goes when they are being deleted.
func (a *Actuator) deleteWorkloads(ctx context.Context, namespace string, has *installed, shootClient client.Client) error {
	// Without controllers, nobody could do it. That is so when the repository holds Flux itself, and Flux has begun with that.
	if works, err := removalFrom(shootClient).HasControllers(ctx); err != nil || !works {
		return explain(err)
	}
	return a.deleteConfiguration(ctx, namespace, has, shootClient)
}

func (a *Actuator) deleteConfiguration(ctx context.Context, namespace string, has *installed, shootClient client.Client) error {
	configuration := has.configuration
	if configuration != nil && configuration.DeletionTimestamp == nil {
		if err := a.quiet(ctx, configuration); err != nil {
			return err
		}
		if err := removalFrom(shootClient).PruneOnDeletion(ctx); err != nil {
			return explain(err)
		}
	}
	if err := managedresource.Delete(ctx, a.Seed, namespace, managedresource.Configuration); err != nil {
		return err
	}
	if configuration == nil {
		if err := removalFrom(shootClient).DeleteRoot(ctx, managedresource.Configuration); err != nil {
			return explain(err)
		}
	}
	// In this order: when the root Kustomization is gone, those that it deployed are being deleted.
	deleted := a.checkDeleted(ctx, namespace, managedresource.Configuration)
	applied, err := a.references().Of(ctx, a.Seed, has.installation)
	if err != nil {
		return err
	}
	left, err := removalFrom(shootClient).Terminating(ctx, applied)
	if err != nil {
		return ifUnfinished(explain(err))
	}
	if len(left) > 0 {
		return soon(left.Since(), fmt.Errorf("Flux is still deleting what it deployed (removalPolicy: %s): %s; if it can't, remove the finalizers of these objects in the shoot, "+
			"and what they deployed stays", fluxv1alpha1.RemovalDeleteWorkloads, left))
	}
	return deleted
}

// quiet makes gardener-resource-manager leave the objects of a ManagedResource to us, and returns nil once it does.
func (a *Actuator) quiet(ctx context.Context, managedResource *resourcesv1alpha1.ManagedResource) error {
	if managedResource == nil {
		return nil
	}
	if err := managedresource.Ignore(ctx, a.Seed, managedResource); err != nil {
		return err
	}
	return soon(lastWritten(managedResource), managedresource.CheckIgnored(managedResource))
}

// lastWritten is when somebody last changed an object, other than its status.
func lastWritten(object client.Object) time.Time {
	last := object.GetCreationTimestamp().Time
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "" && entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}

// explain adds to an error of a request to the shoot what it means if there was no answer.
func explain(err error) error {
	var noAnswer *url.Error
	if errors.As(err, &noAnswer) {
		return fmt.Errorf("the API server of the shoot, or a webhook that it asks, does not answer, and Flux can't be removed before it does: %w", err)
	}
	return err
}
