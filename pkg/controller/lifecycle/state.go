// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// readState returns what is known of the shoot, wherever it came from. It asks the seed, because a cache may not know yet what was
// noted a moment ago. An Extension of which nothing has been noted, because an earlier release of the extension made it, gets its
// state from what that release noted at ManagedResource Installation.
func (a *Actuator) readState(ctx context.Context, ex *extensionsv1alpha1.Extension) (fluxv1alpha1.FluxState, error) {
	current := &extensionsv1alpha1.Extension{}
	if err := a.Seed.Get(ctx, client.ObjectKeyFromObject(ex), current); err != nil {
		return fluxv1alpha1.FluxState{}, fmt.Errorf("failed to read Extension %s of the seed: %w", client.ObjectKeyFromObject(ex), err)
	}
	ex.Status.State = current.Status.State
	state, err := fluxv1alpha1.StateOf(ex)
	if err != nil || state.Kind != "" {
		return state, err
	}
	installation, err := managedresource.Get(ctx, a.Seed, ex.Namespace, managedresource.Installation)
	if err != nil || installation == nil || installation.Labels[managedresource.FluxVersionLabel] == "" {
		return state, err
	}
	return a.writeState(ctx, ex, stateOf(installation.Labels, managedresource.IsIgnored(installation) && ex.DeletionTimestamp == nil))
}

// note notes what ManagedResource Installation is about to have, by its labels.
func (a *Actuator) note(ctx context.Context, ex *extensionsv1alpha1.Extension, labels map[string]string, ownedByUsers bool) error {
	_, err := a.writeState(ctx, ex, stateOf(labels, ownedByUsers))
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
	state, err := fluxv1alpha1.StateOf(ex)
	if err != nil {
		return state, err
	}
	before := state
	if change(&state); state == before {
		return state, nil
	}
	patch := client.MergeFrom(ex.DeepCopy())
	if err := fluxv1alpha1.SetState(ex, state); err != nil {
		return state, err
	}
	if err := a.Seed.Status().Patch(ctx, ex, patch); err != nil {
		return state, fmt.Errorf("failed to write the state of Extension %s in the seed: %w", client.ObjectKeyFromObject(ex), err)
	}
	return fluxv1alpha1.StateOf(ex)
}
