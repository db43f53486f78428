// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// registry is the OCI registry of github.com/distribution/distribution, without the storage of clouds, which tests don't need and which is
// two thirds of what would have to be compiled.
package main

import (
	"os"

	"github.com/distribution/distribution/v3/registry"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd"             // logs in with passwords of a file
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // stores in a directory
)

func main() {
	if err := registry.RootCmd.Execute(); err != nil {
		os.Exit(1)
	}
}
