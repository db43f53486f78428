// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"slices"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// finalizers are those of Flux's controllers, in every release.
var finalizers = []string{
	kustomizev1.KustomizationFinalizer,      // all controllers of the toolkit have the same
	"source.extensions.fluxcd.io/finalizer", // source-watcher (api/v1beta1/artifactgenerator_types.go)
}

// DropFinalizers removes Flux's finalizers from all objects of Flux, so that deleting them deletes nothing else, and needs
// nobody. Flux's kinds are those of the CustomResourceDefinitions with the labels of an installation, and of those named. The
// error says which object could not be read or written.
func DropFinalizers(ctx context.Context, c client.Client, definitions []string) error {
	kinds, err := kindsOf(ctx, c, definitions)
	if err != nil {
		return err
	}
	for _, kind := range kinds {
		if err := shoot.ForEachObject(ctx, c, kind, func(ctx context.Context, object *metav1.PartialObjectMetadata) error {
			return dropFinalizers(ctx, c, object)
		}); err != nil {
			return err
		}
	}
	return nil
}

func dropFinalizers(ctx context.Context, c client.Client, object *metav1.PartialObjectMetadata) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		base := object.DeepCopy()
		object.Finalizers = slices.DeleteFunc(object.Finalizers, isFinalizer)
		if len(object.Finalizers) == len(base.Finalizers) {
			return nil
		}
		err := c.Patch(ctx, object, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
		}
		return err
	})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to remove Flux's finalizer from %s of the shoot: %w", describe(object), err)
	}
	return nil
}

func isFinalizer(name string) bool {
	return slices.Contains(finalizers, name)
}

// Terminating returns the objects of Flux that are being deleted and wait for a controller of Flux.
func Terminating(ctx context.Context, c client.Reader) (Left, error) {
	kinds, err := kindsOf(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	var (
		left  Left
		mutex sync.Mutex
	)
	for _, kind := range kinds {
		if err := shoot.ForEachObject(ctx, c, kind, func(_ context.Context, object *metav1.PartialObjectMetadata) error {
			if object.DeletionTimestamp != nil && slices.ContainsFunc(object.Finalizers, isFinalizer) {
				mutex.Lock()
				defer mutex.Unlock()
				left = append(left, describe(object))
			}
			return nil
		}); err != nil {
			return nil, err
		}
	}
	slices.Sort(left)
	return left, nil
}

// PruneOnDeletion lets the deletion of the root Kustomization delete what it deployed. A release that does not know
// spec.deletionPolicy does that anyway. It is no error if there is no root Kustomization.
func PruneOnDeletion(ctx context.Context, c client.Client) error {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	if err := c.Get(ctx, client.ObjectKey{Name: "kustomizations." + kustomizev1.GroupVersion.Group}, definition); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", definition.Name, err)
	}
	root := &unstructured.Unstructured{}
	root.SetGroupVersionKind(kindOf(definition))
	key := client.ObjectKey{Namespace: render.Namespace, Name: render.Name}
	if err := c.Get(ctx, key, root); apierrors.IsNotFound(err) {
		return nil
	} else if err != nil {
		return fmt.Errorf("failed to read Kustomization %s of the shoot: %w", key, err)
	}
	policy, found, err := unstructured.NestedString(root.Object, "spec", "deletionPolicy")
	if err != nil || !found || policy == kustomizev1.DeletionPolicyDelete {
		return err
	}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"deletionPolicy":%q}}`, kustomizev1.DeletionPolicyDelete))
	if err := c.Patch(ctx, root, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to set spec.deletionPolicy of Kustomization %s of the shoot: %w", key, err)
	}
	return nil
}

// kindsOf returns the kinds of Flux that the shoot has.
func kindsOf(ctx context.Context, c client.Reader, definitions []string) ([]schema.GroupVersionKind, error) {
	labelled := &apiextensionsv1.CustomResourceDefinitionList{}
	if err := c.List(ctx, labelled, installed); err != nil {
		return nil, fmt.Errorf("failed to list the CustomResourceDefinitions of Flux of the shoot: %w", err)
	}
	var kinds []schema.GroupVersionKind
	for i := range labelled.Items {
		definition := &labelled.Items[i]
		kinds = append(kinds, kindOf(definition))
		definitions = slices.DeleteFunc(slices.Clone(definitions), func(name string) bool { return name == definition.Name })
	}
	for _, name := range definitions {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		kinds = append(kinds, kindOf(definition))
	}
	return kinds, nil
}

// kindOf returns the kind of a definition in its storage version, which all releases of Flux serve.
func kindOf(definition *apiextensionsv1.CustomResourceDefinition) schema.GroupVersionKind {
	gvk := schema.GroupVersionKind{Group: definition.Spec.Group, Kind: definition.Spec.Names.Kind}
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			gvk.Version = version.Name
		}
	}
	return gvk
}
