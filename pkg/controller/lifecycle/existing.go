// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// checkExisting looks at what the shoot has, before it is written over for the first time: the installation, and what makes Flux follow the
// repository. Its error is a *takeover.Conflict if somebody else's would be lost. What gardener-resource-manager has applied already is not
// looked at again, so that in most cases the shoot is not asked.
func (a *Actuator) checkExisting(ctx context.Context, ex *extensionsv1alpha1.Extension, has *present, flux *chosen, configuration []client.Object) error {
	objects := notApplied(has.configuration, configuration)
	if !flux.ofUsers { // a new release, or the operator's pull secret, adds objects later
		objects = append(objects, notApplied(has.installation, flux.notable)...)
	}
	if len(objects) == 0 {
		return nil
	}
	shootClient, err := has.shoot.get(ctx)
	if err != nil {
		return err
	}
	// Also when the restoration itself has come to nothing: what was noted on the other seed came along.
	restoring := isRestoring(ex) || has.installation == nil && has.state.FluxVersion != ""
	takesOver, err := takeover.Check(ctx, shootClient, takeover.Request{Namespace: ex.Namespace, Restoring: restoring, Objects: objects})
	if err != nil {
		return err
	}
	if !takesOver {
		return nil
	}
	takeover := newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxTakenOver, describeTakeover(has, flux))
	flux.status.Notices = append(flux.status.Notices, takeover)
	return a.addNotices(ctx, ex, takeover)
}

// describeTakeover tells the shoot's owner that something of somebody else's is written over.
func describeTakeover(has *present, flux *chosen) string {
	if hasApplied(has.installation) {
		return fmt.Sprintf("The shoot had a Deployment of somebody else's that Flux %s brings too, which is the extension's from now on: what was changed of its manifest goes", flux.version)
	}
	return fmt.Sprintf("The shoot had Flux %s of somebody else's, which is the extension's "+
		"from now on: what was changed of its manifests goes. With installation: once, it would have stayed as it was", has.fluxVersion)
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

// hasPredecessor tells whether the archived first version of the extension has been there. It is asked for once for each shoot, and not for a new one,
// of which no operation has ended yet. Its installation came first and went last.
func (a *Actuator) hasPredecessor(ctx context.Context, ex *extensionsv1alpha1.Extension, installation *resourcesv1alpha1.ManagedResource) (bool, error) {
	isNew := ex.Status.ObservedGeneration == 0
	if isNew || installation != nil && installation.Labels[managedresource.ProtectedLabel] != "" { // whoever has set the label has done it
		return false, nil
	}
	left, err := managedresource.Get(ctx, a.Seed, ex.Namespace, managedresource.PredecessorInstallation)
	return left != nil, err
}

// releasePredecessor deletes the ManagedResources of the archived first version of the extension, which nobody else does. Their objects stay.
func (a *Actuator) releasePredecessor(ctx context.Context, namespace string) error {
	for _, name := range managedresource.OfPredecessor {
		left, err := managedresource.Get(ctx, a.Seed, namespace, name)
		if err != nil {
			return err
		}
		if left == nil || left.DeletionTimestamp != nil {
			continue
		}
		if err := managedresource.Release(ctx, a.Seed, namespace, name); err != nil {
			return err
		}
	}
	return nil
}
