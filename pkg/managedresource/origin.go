// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1helper "github.com/gardener/gardener/pkg/api/resources/v1alpha1/helper"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

// CameFrom tells whether an object of the shoot was put there for one of the extension's ManagedResources in the namespace of a seed, by
// the annotation that gardener-resource-manager gives it. It does not matter which seed that was. The annotation stays when a
// ManagedResource goes and its objects are kept.
func CameFrom(object metav1.Object, namespace string) bool {
	return cameFrom(object, namespace, Installation, Configuration)
}

// CameFromPredecessor tells the same of the archived first version of the extension.
func CameFromPredecessor(object metav1.Object, namespace string) bool {
	return cameFrom(object, namespace, OfPredecessor...)
}

func cameFrom(object metav1.Object, namespace string, names ...string) bool {
	_, key, err := resourcesv1alpha1helper.SplitOrigin(object.GetAnnotations()[resourcesv1alpha1.OriginAnnotation])
	return err == nil && key.Namespace == namespace && slices.Contains(names, key.Name)
}

// HasApplied tells whether gardener-resource-manager has put an object into the shoot for the ManagedResource, which may be nil. The
// version of its kind does not matter.
func HasApplied(managedResource *resourcesv1alpha1.ManagedResource, kind schema.GroupKind, key client.ObjectKey) bool {
	return managedResource != nil && slices.ContainsFunc(managedResource.Status.Resources, func(reference resourcesv1alpha1.ObjectReference) bool {
		return reference.GroupVersionKind().GroupKind() == kind && reference.Namespace == key.Namespace && reference.Name == key.Name
	})
}
