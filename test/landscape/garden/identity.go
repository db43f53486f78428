// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
)

// identityLifetime is longer than tests and demonstrations take.
const identityLifetime = 30 * 24 * time.Hour

// GardenletKubeconfig is a kubeconfig of the gardenlet that is responsible for the seed, with a client certificate that is valid for the
// lifetime.
func (g *Garden) GardenletKubeconfig(seedName string, lifetime time.Duration) ([]byte, error) {
	return g.ClientCertKubeconfig(v1beta1constants.SeedUserNamePrefix+seedName, []string{v1beta1constants.SeedsGroup}, lifetime)
}

// GardenletConfig is the access of the gardenlet that is responsible for the seed.
func (g *Garden) GardenletConfig(seedName string) (*rest.Config, error) {
	kubeconfig, err := g.GardenletKubeconfig(seedName, identityLifetime)
	if err != nil {
		return nil, err
	}
	return clientcmd.RESTConfigFromKubeConfig(kubeconfig)
}

// UserConfig is the access of a user, e.g. of a member of a project.
func (g *Garden) UserConfig(user string, groups ...string) (*rest.Config, error) {
	kubeconfig, err := g.ClientCertKubeconfig(user, groups, identityLifetime)
	if err != nil {
		return nil, err
	}
	return clientcmd.RESTConfigFromKubeConfig(kubeconfig)
}

// ServiceAccountConfig is the access of a ServiceAccount, which must exist: e.g. of the one that the TokenRequestor made for an extension in
// namespace seed-<name>.
func (g *Garden) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	kubeconfig, err := g.ServiceAccountKubeconfig(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	return clientcmd.RESTConfigFromKubeConfig(kubeconfig)
}
