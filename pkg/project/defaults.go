// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// SetDefaults fills in what is not written and brings what is written into its normal form. A value that has
// none, because it is invalid, stays as it is.
func SetDefaults(c *fluxv1alpha1.FluxConfig) {
	if c.SyncMode == fluxv1alpha1.SyncManifestsOnly {
		c.Installation = cmp.Or(c.Installation, fluxv1alpha1.InstallationOnce)
	}
	for _, key := range keys {
		if !key.applies(c) {
			continue
		}
		if key.Default != "" && key.field.get(c) == "" && (key.without == nil || !key.without(c)) {
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
	c.Suspend = new(c.IsSuspended())
}
