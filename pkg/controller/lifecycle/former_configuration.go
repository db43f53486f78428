// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// deleteFormer deletes what another seed has given the shoot and it is not to have any more: what is configured has changed while the shoot slept, or had a
// problem, and then it moved. The gardener-resource-manager of this seed knows nothing of it. A source and a Kustomization that are their users' stay, with all
// that they may need (followed_secrets.go). It comes after all that could be refused, and before the names of what is followed are noted anew.
func (r *reconciliation) deleteFormer(ctx context.Context) error {
	if r.observed.configuration != nil || !r.observed.wasInstalled() || r.observed.state.FollowedOnce != "" {
		return nil
	}
	from, err := r.removal(ctx)
	if err != nil {
		return err
	}
	wanted := slices.Concat(r.desired.objects, r.desired.ignored, r.desired.found)
	return requeueUnfinished(from.DeleteFormer(ctx, managedresource.Configuration, func(former client.Object) bool {
		return slices.ContainsFunc(wanted, func(object client.Object) bool { return isSame(object, former) })
	}))
}

// isSame tells whether two objects are one, in whatever API versions.
func isSame(a, b client.Object) bool {
	return a.GetObjectKind().GroupVersionKind().GroupKind() == b.GetObjectKind().GroupVersionKind().GroupKind() && client.ObjectKeyFromObject(a) == client.ObjectKeyFromObject(b)
}
