// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// Unprotect takes render.Protect back from objects in the shoot, so that Flux may change them from a repository of the shoot's users. That one
// of them, or its kind, is gone is no error.
func Unprotect(ctx context.Context, c client.Client, applied []corev1.ObjectReference) error {
	patch := client.RawPatch("application/merge-patch+json", render.UnprotectPatch())
	for _, reference := range applied {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(reference.GroupVersionKind())
		object.SetNamespace(reference.Namespace)
		object.SetName(reference.Name)
		err := c.Patch(ctx, object, patch)
		if apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
			continue
		}
		if err != nil {
			return fmt.Errorf("failed to leave %s of the shoot to its users: %w", describe(object), err)
		}
	}
	return nil
}
