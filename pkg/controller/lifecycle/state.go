// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// readState returns what is known of the shoot, wherever it came from. Gardener's library has written a status before it calls the actuator, so
// that the Extension is as the seed has it, and no older one from a cache. An Extension of which nothing has been noted, because an earlier
// release of the extension made it, gets its state from what that release noted at ManagedResource Installation.
func (r *reconciliation) readState(ctx context.Context) (fluxv1alpha1.FluxState, error) {
	state, err := fluxv1alpha1.StateOf(r.extension)
	if err != nil || state.Kind != "" {
		return state, err
	}
	installation := r.observed.installation
	if installation == nil || installation.Labels[managedresource.FluxVersionLabel] == "" {
		return state, err
	}
	return r.writeState(ctx, stateOf(installation.Labels, managedresource.IsIgnored(installation) && r.extension.DeletionTimestamp == nil))
}

// recordInstallation notes what ManagedResource Installation is about to have, by its labels. If it is about to be made, the status is written at
// the same time: else it is as the shoot has it, and is written when all is done.
func (r *reconciliation) recordInstallation(ctx context.Context, labels map[string]string, ownedByUsers bool) error {
	before := r.extension.DeepCopy()
	if r.observed.installation == nil {
		if _, err := setStatus(r.extension, nextStatus(r.extension, r.desired.status)); err != nil {
			return err
		}
		if err := setProgressing(r.extension); err != nil {
			return err
		}
	}
	note := stateOf(labels, ownedByUsers)
	_, err := r.patchState(ctx, before, func(state *fluxv1alpha1.FluxState) {
		r.noteRequestedVersion(state, ownedByUsers)
		r.noteNamespace(state)
		r.noteFollowed(state, r.followed())
		state.HasConfigMap = r.desired.hasConfigMap
		note(state)
	})
	return mustFail(err)
}

// stateOf changes a state to what the labels of ManagedResource Installation say.
func stateOf(labels map[string]string, ownedByUsers bool) func(*fluxv1alpha1.FluxState) {
	return func(state *fluxv1alpha1.FluxState) {
		state.FluxVersion = labels[managedresource.FluxVersionLabel]
		state.Migrating = labels[managedresource.MigratingLabel] == "true"
		state.RemovalPolicy = fluxv1alpha1.RemovalPolicy(labels[managedresource.RemovalPolicyLabel])
		state.OwnedByUsers = ownedByUsers
	}
}

// writeState notes what is about to be done, and returns it. If that is noted already, nothing is written.
func (r *reconciliation) writeState(ctx context.Context, change func(*fluxv1alpha1.FluxState)) (fluxv1alpha1.FluxState, error) {
	return r.patchState(ctx, r.extension.DeepCopy(), change)
}

// patchState changes the state, and writes it with what else is no longer as it was before. If nothing has changed, nothing is written.
func (r *reconciliation) patchState(ctx context.Context, before *extensionsv1alpha1.Extension, change func(*fluxv1alpha1.FluxState)) (fluxv1alpha1.FluxState, error) {
	state, err := fluxv1alpha1.StateOf(r.extension)
	if err != nil {
		return state, err
	}
	noted := state
	if change(&state); state != noted {
		if err := fluxv1alpha1.SetState(r.extension, state); err != nil {
			return state, err
		}
	}
	if apiequality.Semantic.DeepEqual(before.Status, r.extension.Status) {
		return state, nil
	}
	if err := r.Seed.Status().Patch(ctx, r.extension, client.MergeFrom(before)); err != nil {
		return state, fmt.Errorf("failed to write the state of Extension %s in the seed: %w", client.ObjectKeyFromObject(r.extension), err)
	}
	return fluxv1alpha1.StateOf(r.extension)
}
