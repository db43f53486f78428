// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// DigestOf is the digest of values, by key, that are not the default.
var DigestOf = digest

// Set writes a value into the field that the key stands for.
func (k Key) Set(c *fluxv1alpha1.FluxConfig, value string) { k.field.set(c, value) }

// Write is the ConfigMap of a FluxConfig.
func Write(c *fluxv1alpha1.FluxConfig) map[string]string {
	data := map[string]string{}
	for _, key := range keys {
		if key.applies(c) {
			data[key.Name] = key.field.get(c)
		}
	}
	return data
}
