// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration

import (
	"context"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// progressAnnotation is on a CustomResourceDefinition of the shoot while its objects are being stored anew.
const progressAnnotation = "flux.extensions.gardener.cloud/storage-migration"

// storeAnew makes the API server write each object of a definition once more, which it does in the version that is the
// storage version now, and then forget the other versions. An object that is made meanwhile is stored in this version anyway. It does not begin
// before the definition has settled: what an API server still stores in another version would not be readable any more.
func storeAnew(ctx context.Context, c client.Client, slice shoot.Slice, settling time.Duration, definition *apiextensionsv1.CustomResourceDefinition) error {
	kind := shoot.KindOf(definition, progressAnnotation)
	sweep := &shoot.Sweep{Annotation: progressAnnotation, Visit: func(ctx context.Context, object *metav1.PartialObjectMetadata) error {
		return rewrite(ctx, c, object)
	}}
	if since := time.Since(shoot.LastWritten(definition)); !sweep.Begun(kind) && since < settling && since > -maxAhead {
		return fmt.Errorf("the objects of the shoot are about to be stored in version %s, before Flux can be upgraded: %w", kind.Version, &shoot.Unfinished{Kind: kind.Kind})
	}
	err := sweep.Run(ctx, c, slice, kind)
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return storing(kind, unfinished)
	} else if err != nil {
		return err
	}

	return forgetOtherVersions(ctx, c, definition, kind.Version)
}

// storing is the error while the objects of a kind are being stored anew.
func storing(kind shoot.Kind, unfinished *shoot.Unfinished) error {
	return fmt.Errorf("the objects of the shoot are being stored in version %s, before Flux can be upgraded: %w", kind.Version, unfinished)
}

// forgetOtherVersions notes in a definition that its objects are stored in one version only, if it is still the definition that it
// was when that began.
func forgetOtherVersions(ctx context.Context, c client.Client, definition *apiextensionsv1.CustomResourceDefinition, version string) error {
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		live := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKeyFromObject(definition), live); err != nil {
			return err
		}
		if live.UID != definition.UID || live.Generation != definition.Generation {
			return errors.New("somebody has changed the definition meanwhile")
		}
		base := live.DeepCopy()
		live.Status.StoredVersions = []string{version}
		return c.Status().Patch(ctx, live, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
	})
	if err != nil {
		return fmt.Errorf("failed to note in CustomResourceDefinition %s of the shoot that all its objects are stored in version %s: %w", definition.Name, version, err)
	}
	return nil
}

// rewrite writes an object as it is, status included. Its managed fields get the version too: an API server ignores those
// of a version that it does not know any more, and whoever applies the object would then no longer own what it has set.
func rewrite(ctx context.Context, c client.Client, object *metav1.PartialObjectMetadata) error {
	version := object.APIVersion
	err := retry.RetryOnConflict(retry.DefaultRetry, func() error {
		base := object.DeepCopy()
		for i := range object.ManagedFields {
			object.ManagedFields[i].APIVersion = version
		}
		err := c.Patch(ctx, object, client.MergeFromWithOptions(base, client.MergeFromWithOptimisticLock{}))
		if apierrors.IsConflict(err) {
			if err := c.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
				return err
			}
		}
		return err
	})
	if client.IgnoreNotFound(err) != nil { // an object that has just been deleted needs nothing
		return fmt.Errorf("failed to store %s %s of the shoot in version %s, without which Flux can't be upgraded: %w", object.Kind, client.ObjectKeyFromObject(object), version, err)
	}
	return nil
}
