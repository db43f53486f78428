// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	"slices"
	"strings"
)

const schemeOCI = "oci://"

// IsPrivate tells whether the repository is read with the credentials in the project's Secret.
func (in *Repository) IsPrivate() bool {
	return in != nil && in.Type == RepositoryPrivate
}

// IsOCI tells whether the repository holds artifacts rather than Git.
func (in *Repository) IsOCI() bool {
	return in != nil && strings.HasPrefix(in.URL, schemeOCI)
}

// AllComponents are the controllers of the installation, each once.
func (in *FluxInstallation) AllComponents() []string {
	var all []string
	for _, component := range slices.Concat(in.Components, in.ComponentsExtra) {
		if !slices.Contains(all, component) {
			all = append(all, component)
		}
	}
	return all
}

// IsSuspended tells whether Flux is to stop following.
func (in *FluxConfig) IsSuspended() bool {
	return in.Suspend != nil && *in.Suspend
}
