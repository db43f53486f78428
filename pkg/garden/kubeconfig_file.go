// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"fmt"
	"os"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// KubeconfigFile returns the way into the garden that a kubeconfig file gives, as gardenlet mounts one into the pods of
// extensions. The file is read at each call, and a new connection is made only when its content has changed. Of the files
// that it names by absolute paths, a token and a client certificate with its key are read again when they have been
// renewed: a token within a minute, long before the old one expires, or when the garden has refused it.
func KubeconfigFile(path string) *Access {
	return &Access{
		origin: "file " + path,
		read: func(context.Context) ([]byte, error) {
			kubeconfig, err := os.ReadFile(path)
			if err != nil {
				return nil, fmt.Errorf("failed to read the kubeconfig that the environment variable %s names: %w", v1beta1constants.EnvGenericGardenKubeconfig, err)
			}
			return kubeconfig, nil
		},
		fields: []string{kubernetes.AuthTokenFile, kubernetes.AuthClientCertificate, kubernetes.AuthClientKey},
		advice: fmt.Sprintf("apply %s of the extension's release to the garden, which allows it for all projects, or %s, which allows it for one", RightsManifest, ProjectRightsManifest),
	}
}
