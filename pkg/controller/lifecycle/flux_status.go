// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// readStatus returns what the Extension last said. What can't be read was not written by the extension, and counts as nothing.
func readStatus(ex *extensionsv1alpha1.Extension) fluxv1alpha1.FluxStatus {
	status := fluxv1alpha1.FluxStatus{}
	if raw := ex.Status.ProviderStatus; raw == nil || json.Unmarshal(raw.Raw, &status) != nil {
		return fluxv1alpha1.FluxStatus{}
	}
	return status
}

// writeStatus writes what is not said yet.
func writeStatus(ctx context.Context, seed client.Client, ex *extensionsv1alpha1.Extension, status fluxv1alpha1.FluxStatus) error {
	status.TypeMeta = metav1.TypeMeta{APIVersion: fluxv1alpha1.GroupVersion.String(), Kind: "FluxStatus"}
	if status == readStatus(ex) {
		return nil
	}
	raw, err := json.Marshal(status)
	if err != nil {
		return err
	}
	patch := client.MergeFrom(ex.DeepCopy())
	ex.Status.ProviderStatus = &runtime.RawExtension{Raw: raw}
	if err := seed.Status().Patch(ctx, ex, patch); err != nil {
		return fmt.Errorf("failed to write the status of Extension %s in the seed: %w", client.ObjectKeyFromObject(ex), err)
	}
	return nil
}
