// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"context"
	"fmt"
	"maps"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

// Ignore makes gardener-resource-manager leave the objects of the ManagedResource alone: it neither updates, repairs nor
// creates them, until Unignore. When the ManagedResource is deleted, its objects go nonetheless. What is under way is not
// interrupted: ask CheckIgnored. If it is ignored already, nothing is written.
func Ignore(ctx context.Context, seed client.Writer, managedResource *resourcesv1alpha1.ManagedResource) error {
	return patch(ctx, seed, managedResource, func() {
		metav1.SetMetaDataAnnotation(&managedResource.ObjectMeta, resourcesv1alpha1.Ignore, "true")
	})
}

// Unignore takes Ignore back. If the ManagedResource is not ignored, nothing is written.
func Unignore(ctx context.Context, seed client.Writer, managedResource *resourcesv1alpha1.ManagedResource) error {
	return patch(ctx, seed, managedResource, func() { delete(managedResource.Annotations, resourcesv1alpha1.Ignore) })
}

// SetLabels sets labels without applying anything. If they are set already, nothing is written.
func SetLabels(ctx context.Context, seed client.Writer, managedResource *resourcesv1alpha1.ManagedResource, labels map[string]string) error {
	return patch(ctx, seed, managedResource, func() {
		if managedResource.Labels == nil {
			managedResource.Labels = map[string]string{}
		}
		maps.Copy(managedResource.Labels, labels)
	})
}

// patch writes a change of labels and annotations, if there is one.
func patch(ctx context.Context, seed client.Writer, managedResource *resourcesv1alpha1.ManagedResource, change func()) error {
	before := managedResource.DeepCopy()
	change()
	if maps.Equal(before.Labels, managedResource.Labels) && maps.Equal(before.Annotations, managedResource.Annotations) {
		return nil
	}
	if err := seed.Patch(ctx, managedResource, client.MergeFrom(before)); err != nil {
		return fmt.Errorf("failed to write ManagedResource %s in the seed: %w", client.ObjectKeyFromObject(managedResource), err)
	}
	return nil
}

// IsIgnored tells whether gardener-resource-manager is to leave the objects of the ManagedResource alone.
func IsIgnored(managedResource *resourcesv1alpha1.ManagedResource) bool {
	return managedResource.Annotations[resourcesv1alpha1.Ignore] == "true"
}

// CheckIgnored returns nil once gardener-resource-manager has taken note of Ignore, so that it does nothing any more, and else
// an error that says what it is waiting for.
func CheckIgnored(managedResource *resourcesv1alpha1.ManagedResource) error {
	condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied)
	switch {
	case managedResource.DeletionTimestamp != nil: // it creates nothing any more
		return nil
	case IsIgnored(managedResource) && condition != nil && condition.Reason == resourcesv1alpha1.ConditionManagedResourceIgnored:
		return nil
	}
	return fmt.Errorf("gardener-resource-manager has not yet taken note that it is to leave the objects of ManagedResource %s alone", client.ObjectKeyFromObject(managedResource))
}

// CheckApplied returns nil once gardener-resource-manager has put the objects into the shoot as they are now in the ManagedResource, and
// else an error that says why it has not.
func CheckApplied(managedResource *resourcesv1alpha1.ManagedResource) error {
	where := client.ObjectKeyFromObject(managedResource)
	condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied)
	switch {
	case managedResource.Status.ObservedGeneration == managedResource.Generation && condition != nil && condition.Status == gardencorev1beta1.ConditionTrue:
		return nil
	case condition != nil && condition.Status == gardencorev1beta1.ConditionFalse:
		return fmt.Errorf("gardener-resource-manager could not apply ManagedResource %s to the shoot: %s", where, condition.Message)
	}
	return fmt.Errorf("gardener-resource-manager has not yet applied ManagedResource %s to the shoot", where)
}

// IsPending tells whether gardener-resource-manager tries to put the objects into the shoot, and could not do it so far. While it
// tries again, its condition does not say that it failed before.
func IsPending(managedResource *resourcesv1alpha1.ManagedResource) bool {
	condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied)
	return condition != nil && condition.Status != gardencorev1beta1.ConditionTrue
}
