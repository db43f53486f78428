// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// cameFrom tells whether gardener-resource-manager made or took over an object for the ManagedResource of the given name. It
// notes that on each object, for whatever seed it works
// (pkg/resourcemanager/controller/managedresource/merger.go of Gardener).
func cameFrom(object metav1.Object, managedResource string) bool {
	return strings.HasSuffix(object.GetAnnotations()[resourcesv1alpha1.OriginAnnotation], "/"+managedResource)
}

// CameFrom tells whether the shoot has a Flux that came from the ManagedResource of the given name, by Flux's namespace, which
// comes first and goes last.
func CameFrom(ctx context.Context, c client.Reader, managedResource string) (bool, error) {
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := c.Get(ctx, client.ObjectKey{Name: render.Namespace}, namespace); apierrors.IsNotFound(err) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("failed to read Namespace %s of the shoot: %w", render.Namespace, err)
	}
	return cameFrom(namespace, managedResource), nil
}

// DeleteRoot lets Flux delete what it deployed from the project's repository, where no ManagedResource in the seed can: the root
// Kustomization is deleted in the shoot, if it came from the ManagedResource of the given name.
func DeleteRoot(ctx context.Context, c client.Client, managedResource string) error {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	kind := client.ObjectKey{Name: "kustomizations." + kustomizev1.GroupVersion.Group}
	if err := c.Get(ctx, kind, definition); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", kind.Name, err)
	}
	root := &metav1.PartialObjectMetadata{}
	root.SetGroupVersionKind(shoot.KindOf(definition).GroupVersionKind)
	key := client.ObjectKey{Namespace: render.Namespace, Name: render.Name}
	if err := c.Get(ctx, key, root); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read Kustomization %s of the shoot: %w", key, err)
	}
	if root.DeletionTimestamp != nil || !cameFrom(root, managedResource) {
		return nil
	}
	if err := PruneOnDeletion(ctx, c); err != nil {
		return err
	}
	if err := c.Delete(ctx, root, client.Preconditions{UID: &root.UID}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to delete Kustomization %s of the shoot: %w", key, err)
	}
	return nil
}
