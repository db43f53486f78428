// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"context"
	"fmt"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/githubapi"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

// registryAddress is one for which no client makes an exception, as all do for 127.0.0.1.
const registryAddress = "127.0.0.2"

// StartRegistry starts a private registry, which ends with the landscape.
func (l *Landscape) StartRegistry(ctx context.Context) (*registry.Registry, error) {
	r, err := registry.Start(ctx, registry.Options{Bin: l.options.Bin, Dir: l.options.Dir, Address: registryAddress, OnExit: l.onExit})
	if err != nil {
		return nil, fmt.Errorf("failed to start the registry: %w", err)
	}
	l.stopWith(r.Stop)
	l.progress("registry is ready")
	return r, nil
}

// StartGitHubAPI starts the API by which GitHub Apps get tokens for the Git server. It ends with the landscape.
func (l *Landscape) StartGitHubAPI() (*githubapi.Server, error) {
	api, err := githubapi.Start(githubapi.Options{Git: l.Git.Store})
	if err != nil {
		return nil, fmt.Errorf("failed to start the GitHub API: %w", err)
	}
	l.stopWith(api.Close)
	l.progress("GitHub API is ready")
	return api, nil
}
