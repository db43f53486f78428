// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

// cameFrom tells whether gardener-resource-manager made or took over an object for the ManagedResource of the given name. It
// notes that on each object, for whatever seed it works
// (pkg/resourcemanager/controller/managedresource/merger.go of Gardener).
func cameFrom(object metav1.Object, managedResource string) bool {
	return strings.HasSuffix(object.GetAnnotations()[resourcesv1alpha1.OriginAnnotation], "/"+managedResource)
}

// CameFrom tells whether the shoot has a Flux that came from the ManagedResource of the given name, by Flux's namespace, which
// comes first and goes last.
func (r Removal) CameFrom(ctx context.Context, managedResource string) (bool, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := r.Shoot.Get(ctx, client.ObjectKey{Name: r.Namespace}, namespace); apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("failed to read Namespace %s of the shoot: %w", r.Namespace, err)
	}
	return cameFrom(namespace, managedResource), nil
}
