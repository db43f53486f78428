// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"cmp"
	"slices"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// Options are what flux install can be told. The zero value is what it does by itself.
type Options struct {
	// Namespace is where Flux is installed, in place of flux-system.
	Namespace string
	// Components are the controllers, in place of the default ones.
	Components []string
}

// complete returns options in which nothing is left out, with the components in the order of package flux: that of their objects.
func (o Options) complete() Options {
	if len(o.Components) == 0 {
		o.Components = flux.DefaultComponents()
	}
	components := slices.DeleteFunc(flux.Components(), func(component string) bool { return !slices.Contains(o.Components, component) })
	for _, component := range o.Components {
		if !slices.Contains(components, component) {
			components = append(components, component)
		}
	}
	return Options{Namespace: cmp.Or(o.Namespace, flux.Namespace), Components: components}
}

// IsDefault tells whether the options are what flux install does by itself.
func (o Options) IsDefault() bool {
	complete, standard := o.complete(), Options{}.complete()
	return complete.Namespace == standard.Namespace && slices.Equal(complete.Components, standard.Components)
}
