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
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// readState returns what is known of the shoot, wherever it came from. Gardener's library has written a status before it calls the actuator, so
// that the Extension is as the seed has it, and no older one from a cache. An Extension of which nothing has been noted, because an earlier
// release of the extension made it, gets its state from what that release noted at ManagedResource Installation, which may be nil.
func (a *Actuator) readState(ctx context.Context, ex *extensionsv1alpha1.Extension, installation *resourcesv1alpha1.ManagedResource) (fluxv1alpha1.FluxState, error) {
	state, err := fluxv1alpha1.StateOf(ex)
	if err != nil || state.Kind != "" {
		return state, err
	}
	if installation == nil || installation.Labels[managedresource.FluxVersionLabel] == "" {
		return state, err
	}
	return a.writeState(ctx, ex, stateOf(installation.Labels, managedresource.IsIgnored(installation) && ex.DeletionTimestamp == nil))
}

// note notes what ManagedResource Installation is about to have, by its labels. If it is about to be made, the status is written at the same
// time: else it is as the shoot has it, and is written when all is done.
func (a *Actuator) note(ctx context.Context, ex *extensionsv1alpha1.Extension, has *present, labels map[string]string, status fluxv1alpha1.FluxStatus, ownedByUsers bool) error {
	if has.installation != nil {
		_, err := a.writeState(ctx, ex, stateOf(labels, ownedByUsers))
		return mustFail(err)
	}
	before := ex.DeepCopy()
	if _, err := setStatus(ex, updated(ex, status)); err != nil {
		return err
	}
	if err := setProgressing(ex); err != nil {
		return err
	}
	_, err := a.patchState(ctx, before, ex, stateOf(labels, ownedByUsers))
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
func (a *Actuator) writeState(ctx context.Context, ex *extensionsv1alpha1.Extension, change func(*fluxv1alpha1.FluxState)) (fluxv1alpha1.FluxState, error) {
	return a.patchState(ctx, ex.DeepCopy(), ex, change)
}

// patchState changes the state, and writes it with what else is no longer as it was before. If nothing has changed, nothing is written.
func (a *Actuator) patchState(ctx context.Context, before, ex *extensionsv1alpha1.Extension, change func(*fluxv1alpha1.FluxState)) (fluxv1alpha1.FluxState, error) {
	state, err := fluxv1alpha1.StateOf(ex)
	if err != nil {
		return state, err
	}
	noted := state
	if change(&state); state != noted {
		if err := fluxv1alpha1.SetState(ex, state); err != nil {
			return state, err
		}
	}
	if apiequality.Semantic.DeepEqual(before.Status, ex.Status) {
		return state, nil
	}
	if err := a.Seed.Status().Patch(ctx, ex, client.MergeFrom(before)); err != nil {
		return state, fmt.Errorf("failed to write the state of Extension %s in the seed: %w", client.ObjectKeyFromObject(ex), err)
	}
	return fluxv1alpha1.StateOf(ex)
}
