// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// Unprotect takes render.Protect back from objects in the shoot, so that Flux may change them from a repository of the shoot's users. That one
// of them, or its kind, is gone is no error. The error is a *shoot.Unfinished if there are more than can be written in a moment: then the
// next call goes on.
func (r Removal) Unprotect(ctx context.Context, applied []corev1.ObjectReference) error {
	objects, err := read(ctx, r.Shoot, applied)
	if err != nil {
		return err
	}
	var protected, freed []*metav1.PartialObjectMetadata
	for i := range objects {
		if object := objects[i].DeepCopy(); render.Unprotect(object) {
			protected, freed = append(protected, &objects[i]), append(freed, object)
		}
	}
	done, err := shoot.NewSlice().Do(ctx, len(protected), func(ctx context.Context, i int) error {
		if err := r.Shoot.Patch(ctx, freed[i], client.MergeFrom(protected[i])); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to leave %s of the shoot to its users: %w", describe(protected[i]), err)
		}
		return nil
	})
	if err == nil && done < len(protected) {
		return fmt.Errorf("the objects of Flux are being left to the shoot's users: %w",
			&shoot.Unfinished{Kind: protected[done].Kind, Visited: int64(done), Remaining: int64(len(protected) - done)})
	}
	return err
}
