// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const kindFluxState = "FluxState"

// StateOf returns what an Extension knows of its shoot. Its Kind is empty if nothing has been noted yet. What this release can't
// read is an error, because it must neither be overlooked nor overwritten.
func StateOf(ex *extensionsv1alpha1.Extension) (FluxState, error) {
	if ex.Status.State == nil || len(ex.Status.State.Raw) == 0 {
		return FluxState{}, nil
	}
	state := FluxState{}
	where := ex.Namespace + "/" + ex.Name
	if err := json.Unmarshal(ex.Status.State.Raw, &state); err != nil {
		return FluxState{}, fmt.Errorf("the state of Extension %s in the seed can't be read, and without it nothing is touched in the shoot: %w", where, err)
	}
	if state.APIVersion != GroupVersion.String() || state.Kind != kindFluxState {
		return FluxState{}, fmt.Errorf("the state of Extension %s in the seed has apiVersion %q and kind %q, which this release of the extension does not know: "+
			"a newer one wrote it, and is needed on this seed too", where, shorten(state.APIVersion), shorten(state.Kind))
	}
	return state, nil
}

// SetState changes what an Extension knows of its shoot. It writes nothing.
func SetState(ex *extensionsv1alpha1.Extension, state FluxState) error {
	state.TypeMeta = metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: kindFluxState}
	raw, err := json.Marshal(state)
	if err != nil {
		return fmt.Errorf("failed to serialize the state of Extension %s: %w", ex.Namespace+"/"+ex.Name, err)
	}
	ex.Status.State = &runtime.RawExtension{Raw: raw}
	return nil
}

// shorten bounds what is repeated of a state that somebody else wrote.
func shorten(text string) string {
	const limit = 80
	if len(text) > limit {
		return text[:limit]
	}
	return text
}
