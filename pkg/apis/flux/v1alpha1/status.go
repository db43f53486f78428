// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// StatusOf returns what an Extension last said. What can't be read was not written by the extension, and counts as nothing.
func StatusOf(ex *extensionsv1alpha1.Extension) FluxStatus {
	status := FluxStatus{}
	if raw := ex.Status.ProviderStatus; raw == nil || json.Unmarshal(raw.Raw, &status) != nil {
		return FluxStatus{}
	}
	return status
}

// SetStatus makes an Extension say a status.
func SetStatus(ex *extensionsv1alpha1.Extension, status FluxStatus) error {
	status.TypeMeta = metav1.TypeMeta{APIVersion: GroupVersion.String(), Kind: "FluxStatus"}
	raw, err := json.Marshal(status)
	if err != nil {
		return err
	}
	ex.Status.ProviderStatus = &runtime.RawExtension{Raw: raw}
	return nil
}

// UnreportedNotices returns the notices that people don't know yet.
func (in *FluxStatus) UnreportedNotices() []Notice {
	var unreported []Notice
	for _, notice := range in.Notices {
		if !notice.Reported {
			unreported = append(unreported, notice)
		}
	}
	return unreported
}
