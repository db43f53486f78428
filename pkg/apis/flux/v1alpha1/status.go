// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"encoding/json"

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
