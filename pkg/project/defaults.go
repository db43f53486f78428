// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Default fills in what is not written and brings what is written into its normal form. A value that has
// none, because it is invalid, stays as it is.
func (c *Configuration) Default() {
	for _, key := range keys {
		if !key.applies(c) {
			continue
		}
		if key.field.get(c) == "" {
			key.field.set(c, key.Default)
		}
		if key.normalise != nil {
			key.normalise(c)
		}
	}
}

// Override replaces what the project's admin wants by what the owner of one shoot has written. The result must be validated.
func (c *Configuration) Override(shoot *fluxv1alpha1.FluxConfig) {
	for _, key := range keys {
		if key.shoot == nil || !key.applies(c) {
			continue
		}
		if value := key.shoot(shoot); value != "" {
			key.field.set(c, value)
		}
	}
}
