// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// readConfiguration returns what the project admin wrote. Its errors are not marked as configuration problems: Gardener
// would give up on the Shoot, and not notice that the ConfigMap has been repaired.
func readConfiguration(ctx context.Context, garden client.Reader, namespace string) (*fluxv1alpha1.FluxConfig, error) {
	key := client.ObjectKey{Namespace: namespace, Name: project.ConfigMapName}
	configMap := &corev1.ConfigMap{}
	if err := garden.Get(ctx, key, configMap); apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("ConfigMap %s does not exist in the garden: create it to say which Flux version and Git repository the shoots of the project get, "+
			"for example: kubectl -n %s create configmap %s --from-literal=repositoryUrl=https://…; without any key, only Flux is installed", key, namespace, project.ConfigMapName)
	} else if err != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s in the garden: %w", key, err)
	}

	configuration, err := project.Parse(configMap)
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s in the garden is not valid: %w", key, err)
	}
	return configuration, nil
}
