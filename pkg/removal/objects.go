// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// finalizersAnnotation is on a CustomResourceDefinition of the shoot while Flux's finalizers are being removed from its objects.
const finalizersAnnotation = "flux.extensions.gardener.cloud/finalizers-removal"

// DropFinalizers removes Flux's finalizers from all objects of Flux, so that deleting them deletes nothing else, and needs
// nobody. Flux's kinds are those of the CustomResourceDefinitions of an installation, and of those that the extension applied. The error says which object
// could not be read or written; it is a *shoot.Unfinished if there are more objects than can be written in a moment: then the
// next call goes on.
func (r Removal) DropFinalizers(ctx context.Context, applied []corev1.ObjectReference) error {
	kinds, err := r.kindsOf(ctx, applied)
	if err != nil {
		return err
	}
	sweep := &shoot.Sweep{Annotation: finalizersAnnotation, Visit: func(ctx context.Context, object *metav1.PartialObjectMetadata) error {
		return dropFinalizers(ctx, r.Shoot, object)
	}}
	err = sweep.Run(ctx, r.Shoot, shoot.NewSlice(), kinds...)
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return fmt.Errorf("the finalizers of Flux are being removed from its objects in the shoot: %w", unfinished)
	}
	return err
}

func dropFinalizers(ctx context.Context, c client.Client, object *metav1.PartialObjectMetadata) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		base := object.DeepCopy()
		object.Finalizers = slices.DeleteFunc(object.Finalizers, flux.IsFinalizer)
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

// kindsOf returns the kinds of Flux that the shoot has, in the order of their CustomResourceDefinitions' names.
func (r Removal) kindsOf(ctx context.Context, applied []corev1.ObjectReference) ([]shoot.Kind, error) {
	ours := sets.New[string]()
	for _, reference := range applied {
		if reference.GroupVersionKind().GroupKind() == definitionKind.GroupKind() {
			ours.Insert(reference.Name)
		}
	}
	names := sets.List(ours.Union(sets.New(flux.Definitions()...)))
	found := make([]*shoot.Kind, len(names))
	_, err := shoot.Slice{}.Do(ctx, len(names), func(ctx context.Context, i int) error {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := r.Shoot.Get(ctx, client.ObjectKey{Name: names[i]}, definition); apierrors.IsNotFound(err) {
			return nil
		} else if err != nil {
			return fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", names[i], err)
		}
		if ours.Has(names[i]) || r.isInstalled(definition) {
			found[i] = new(shoot.KindOf(definition, finalizersAnnotation, terminatingAnnotation, terminatingAgainAnnotation))
		}
		return nil
	})
	var kinds []shoot.Kind
	for _, kind := range found {
		if kind != nil {
			kinds = append(kinds, *kind)
		}
	}
	return kinds, err
}
