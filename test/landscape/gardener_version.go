// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"debug/buildinfo"
	"fmt"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const gardenerModule = "github.com/gardener/gardener"

// gardenerVersion is the version of the gardener-resource-manager that the landscape runs.
func gardenerVersion(bin process.Binaries) (string, error) {
	program, err := bin.Path("gardener-resource-manager")
	if err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", fmt.Errorf("failed to read what %s was built from: %w", program, err)
	}
	if info.Main.Path != gardenerModule {
		return "", fmt.Errorf("%s was built from module %s, not from %s", program, info.Main.Path, gardenerModule)
	}
	return info.Main.Version, nil
}
