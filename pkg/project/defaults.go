// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"

	"k8s.io/utils/ptr"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// SetDefaults fills in what is not written and brings what is written into its normal form. A value that has
// none, because it is invalid, stays as it is.
func SetDefaults(c *fluxv1alpha1.FluxConfig) {
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
	c.Flux.Namespace = cmp.Or(c.Flux.Namespace, flux.Namespace)
	if len(c.Flux.Components) == 0 {
		c.Flux.Components = flux.DefaultComponents()
	}
	c.SyncMode = cmp.Or(c.SyncMode, fluxv1alpha1.SyncManaged)
	if c.Suspend == nil {
		c.Suspend = ptr.To(false)
	}
}

// Override replaces what the project's admin wants by what the owner of one shoot has written. The result must be validated.
func Override(c, shoot *fluxv1alpha1.FluxConfig) {
	for _, key := range keys {
		if key.shoot == nil || !key.applies(c) {
			continue
		}
		if value := key.shoot(shoot); value != "" {
			key.field.set(c, value)
		}
	}
}
