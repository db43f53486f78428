// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// checkExisting looks at what the shoot has, before it is written over for the first time: the installation, and what makes Flux follow the
// repository. Its error is a *takeover.Conflict if somebody else's would be lost. What gardener-resource-manager has applied already is not
// looked at again, so that in most cases the shoot is not asked.
func (r *reconciliation) checkExisting(ctx context.Context) error {
	objects := notApplied(r.observed.configuration, r.desired.objects)
	if !r.desired.ownedByUsers { // a new release, or the operator's pull secret, adds objects later
		objects = append(objects, notApplied(r.observed.installation, r.desired.release.notable)...)
	}
	if len(objects) == 0 {
		return nil
	}
	shootClient, err := r.connectToShoot(ctx)
	if err != nil {
		return err
	}
	// Also when the restoration itself has come to nothing: what was noted on the other seed came along.
	restoring := isRestoring(r.extension) || r.observed.installation == nil && r.observed.state.FluxVersion != ""
	if err := r.checkUsersNamespace(ctx, shootClient); err != nil {
		return err
	}
	if err := r.keepUsersShootInfo(ctx, shootClient); err != nil {
		return err
	}
	takesOver, err := takeover.Check(ctx, shootClient, takeover.Request{
		Namespace: r.extension.Namespace, FluxNamespace: r.desired.Flux.Namespace, Restoring: restoring, Objects: objects,
	})
	if err != nil || !takesOver {
		return err
	}
	notice := newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxTakenOver, r.describeTakeover())
	r.desired.status.Notices = append(r.desired.status.Notices, notice)
	return r.addNotices(ctx, notice)
}

// describeTakeover tells the shoot's owner that something of somebody else's is written over.
func (r *reconciliation) describeTakeover() string {
	if hasApplied(r.observed.installation) {
		return fmt.Sprintf("The shoot had a Deployment of somebody else's that Flux %s brings too, which is the extension's from now on: what was changed of its manifest goes", r.desired.version)
	}
	return fmt.Sprintf("The shoot had Flux %s of somebody else's, which is the extension's "+
		"from now on: what was changed of its manifests goes. With installation: once, it would have stayed as it was", r.observed.fluxVersion)
}

// notApplied are the objects that gardener-resource-manager has not yet put into the shoot for the ManagedResource, which may be nil.
func notApplied(managedResource *resourcesv1alpha1.ManagedResource, objects []client.Object) []client.Object {
	var missing []client.Object
	for _, object := range objects {
		if !managedresource.HasApplied(managedResource, object.GetObjectKind().GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(object)) {
			missing = append(missing, object)
		}
	}
	return missing
}

// orphanPredecessorOnce deletes what the archived first version of the extension has left, if it has been there. It is asked for once for each
// shoot, and not for a new one, of which no operation has ended yet. Its installation came first and went last.
func (r *reconciliation) orphanPredecessorOnce(ctx context.Context) error {
	isNew, installation := r.extension.Status.ObservedGeneration == 0, r.observed.installation
	if isNew || installation != nil && installation.Labels[managedresource.ProtectedLabel] != "" { // whoever has set the label has done it
		return nil
	}
	if left, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, managedresource.PredecessorInstallation); err != nil || left == nil {
		return err
	}
	return r.orphanPredecessor(ctx)
}

// orphanPredecessor deletes the ManagedResources of the archived first version of the extension, which nobody else does. Their objects stay.
func (r *reconciliation) orphanPredecessor(ctx context.Context) error {
	for _, name := range managedresource.OfPredecessor {
		left, err := managedresource.Get(ctx, r.Seed, r.extension.Namespace, name)
		if err != nil {
			return err
		}
		if left == nil || left.DeletionTimestamp != nil {
			continue
		}
		if err := managedresource.Orphan(ctx, r.Seed, r.extension.Namespace, name); err != nil {
			return err
		}
	}
	return nil
}
