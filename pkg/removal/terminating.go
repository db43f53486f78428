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

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// terminatingAnnotation is on a CustomResourceDefinition of the shoot while its objects are being looked through for the first time,
	// and terminatingAgainAnnotation while that is done once more.
	terminatingAnnotation      = "flux.extensions.gardener.cloud/terminating"
	terminatingAgainAnnotation = "flux.extensions.gardener.cloud/terminating-again"
)

// errEnough stops a search.
var errEnough = errors.New("found enough")

// Terminating returns objects of Flux that are being deleted and wait for a controller of Flux. The error is a *shoot.Unfinished if there
// are more objects than can be looked through in a moment: then the next call goes on.
//
// The kinds are looked through one after the other. An object of a later one may delete some of an earlier one, which has been looked through,
// and be gone before it is seen itself: a Kustomization that deploys HelmReleases does. So there is nothing only if nothing is found twice.
func (r Removal) Terminating(ctx context.Context, applied []corev1.ObjectReference) (Left, error) {
	kinds, err := r.kindsOf(ctx, applied)
	if err != nil {
		return nil, err
	}
	look := &terminating{}
	first := &shoot.Sweep{Annotation: terminatingAnnotation, Visit: look.visit}
	again := &shoot.Sweep{Annotation: terminatingAgainAnnotation, Visit: look.visit}
	slice := shoot.NewSlice()
	if !again.Begun(kinds...) {
		err = first.Run(ctx, r.Shoot, slice, kinds...)
	}
	if err == nil && len(look.left) == 0 {
		err = again.Run(ctx, r.Shoot, slice, kinds...)
	}
	if len(look.left) > 0 {
		slices.SortFunc(look.left, func(a, b Waiting) int { return strings.Compare(a.Object, b.Object) })
		// When these are gone, others may be being deleted, also among those that have been looked at.
		return look.left, errors.Join(first.Reset(ctx, r.Shoot, kinds...), again.Reset(ctx, r.Shoot, kinds...))
	}
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return nil, fmt.Errorf("the objects of Flux in the shoot are being looked through for those that it still deletes: %w", unfinished)
	}
	return nil, err
}

// terminating are the objects that have been found.
type terminating struct {
	mutex sync.Mutex
	left  Left
}

func (t *terminating) visit(_ context.Context, object *metav1.PartialObjectMetadata) error {
	if object.DeletionTimestamp == nil || !slices.ContainsFunc(object.Finalizers, flux.IsFinalizer) {
		return nil
	}
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if !t.left.add(object) {
		return errEnough
	}
	return nil
}
