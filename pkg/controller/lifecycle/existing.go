// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/takeover"
)

// bootstrapped is a condition by which another extension of the same type, from which a landscape may have changed to this one, keeps in mind that a
// shoot has Flux. Nobody would correct it.
const bootstrapped gardencorev1beta1.ConditionType = "FluxBootstrapped"

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
		Namespace: r.extension.Namespace, FluxNamespace: r.desired.Flux.Namespace, Restoring: restoring, WasOfUsers: r.wasOfUsers(), Objects: objects,
	})
	if err != nil || !takesOver {
		return err
	}
	notice := newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxTakenOver, r.describeTakeover())
	r.desired.status.Notices = append(r.desired.status.Notices, notice)
	return r.addNotices(ctx, notice)
}

// wasOfUsers tells whether Flux has been left to the shoot's users until now. If an operation was interrupted that takes it back, or gardener-resource-manager
// has not got so far, that is still so.
func (r *reconciliation) wasOfUsers() bool {
	installation := r.observed.installation
	return r.observed.state.OwnedByUsers || installation != nil && (managedresource.IsIgnored(installation) || !hasApplied(installation))
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

// removeForeignCondition removes what another extension has said of the shoot, as soon as this one has done what is configured: until then, it can still be
// exchanged back. Other controllers write other conditions at the same time.
func (r *reconciliation) removeForeignCondition(ctx context.Context) error {
	if v1beta1helper.GetCondition(r.extension.Status.Conditions, bootstrapped) == nil {
		return nil
	}
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		if err := r.Seed.Get(ctx, client.ObjectKeyFromObject(r.extension), r.extension); err != nil {
			return err
		}
		patch := client.MergeFromWithOptions(r.extension.DeepCopy(), client.MergeFromWithOptimisticLock{})
		r.extension.Status.Conditions = v1beta1helper.RemoveConditions(r.extension.Status.Conditions, bootstrapped)
		return r.Seed.Status().Patch(ctx, r.extension, patch)
	})
	if err != nil {
		return mustFail(fmt.Errorf("failed to remove condition %s of Extension %s in the seed: %w", bootstrapped, client.ObjectKeyFromObject(r.extension), err))
	}
	return nil
}
