// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/sets"
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

const (
	// finalizersAnnotation is on a CustomResourceDefinition of the shoot while Flux's finalizers are being removed from its objects.
	finalizersAnnotation = "flux.extensions.gardener.cloud/finalizers-removal"
	// terminatingAnnotation is on a CustomResourceDefinition of the shoot while its objects are being looked through.
	terminatingAnnotation = "flux.extensions.gardener.cloud/terminating"
)

// DropFinalizers removes Flux's finalizers from all objects of Flux, so that deleting them deletes nothing else, and needs
// nobody. Flux's kinds are those of the CustomResourceDefinitions of an installation, and of those named. The error says which object
// could not be read or written; it is a *shoot.Unfinished if there are more objects than can be written in a moment: then the
// next call goes on.
func DropFinalizers(ctx context.Context, c client.Client, definitions []string) error {
	kinds, err := kindsOf(ctx, c, definitions)
	if err != nil {
		return err
	}
	sweep := &shoot.Sweep{Annotation: finalizersAnnotation, Visit: func(ctx context.Context, object *metav1.PartialObjectMetadata) error {
		return dropFinalizers(ctx, c, object)
	}}
	err = sweep.Run(ctx, c, shoot.NewSlice(), kinds...)
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return fmt.Errorf("the finalizers of Flux are being removed from its objects in the shoot: %w", unfinished)
	}
	return err
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

// errEnough stops a search.
var errEnough = errors.New("found enough")

// Terminating returns objects of Flux that are being deleted and wait for a controller of Flux. The error is a *shoot.Unfinished if there
// are more objects than can be looked through in a moment: then the next call goes on.
func Terminating(ctx context.Context, c client.Client) (Left, error) {
	kinds, err := kindsOf(ctx, c, nil)
	if err != nil {
		return nil, err
	}
	var (
		left  Left
		mutex sync.Mutex
	)
	sweep := &shoot.Sweep{Annotation: terminatingAnnotation, Visit: func(_ context.Context, object *metav1.PartialObjectMetadata) error {
		if object.DeletionTimestamp == nil || !slices.ContainsFunc(object.Finalizers, isFinalizer) {
			return nil
		}
		mutex.Lock()
		defer mutex.Unlock()
		if !left.add(object) {
			return errEnough
		}
		return nil
	}}
	err = sweep.Run(ctx, c, shoot.NewSlice(), kinds...)
	if len(left) > 0 {
		slices.SortFunc(left, func(a, b Waiting) int { return strings.Compare(a.Object, b.Object) })
		// When these are gone, others may be being deleted, also among those that have been looked at.
		return left, sweep.Reset(ctx, c, kinds...)
	}
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return nil, fmt.Errorf("the objects of Flux in the shoot are being looked through for those that it still deletes: %w", unfinished)
	}
	return nil, err
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
	root.SetGroupVersionKind(shoot.KindOf(definition).GroupVersionKind)
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

// kindsOf returns the kinds of Flux that the shoot has, in the order of their CustomResourceDefinitions' names.
func kindsOf(ctx context.Context, c client.Reader, definitions []string) ([]shoot.Kind, error) {
	names := sets.New(definitions...)
	if err := listLabelled(ctx, c, definitionKind, func(definition *metav1.PartialObjectMetadata) error {
		names.Insert(definition.Name)
		return nil
	}); err != nil {
		return nil, err
	}
	var kinds []shoot.Kind
	for _, name := range sets.List(names) {
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		kinds = append(kinds, shoot.KindOf(definition))
	}
	return kinds, nil
}
