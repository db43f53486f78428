// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"os"

	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// landscapeDefaults are what shoots get where neither their projects nor their owners write anything.
type landscapeDefaults struct {
	file string
	read *project.Defaults
}

func (d *landscapeDefaults) addFlags(flags *pflag.FlagSet) {
	flags.StringVar(&d.file, "landscape-defaults-file", "",
		"The path of a FluxConfig in YAML that counts where neither a project nor the owner of a shoot writes anything. It is read at the start. Empty: there is none.")
}

// complete keeps a process from starting with defaults that no shoot could use: the one before goes on.
func (d *landscapeDefaults) complete() error {
	if d.file == "" {
		return nil
	}
	content, err := os.ReadFile(d.file)
	if err != nil {
		return fmt.Errorf("--landscape-defaults-file: failed to read the defaults of the landscape: %w", err)
	}
	if d.read, err = project.ReadDefaults(string(content)); err != nil {
		return fmt.Errorf("--landscape-defaults-file %s: %w", d.file, err)
	}
	return nil
}
