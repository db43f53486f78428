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

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// readConfigMap returns what has been written for the shoots of a project. What is wrong with it is said when it is asked for a shoot. None of
// these errors is marked as a configuration problem: Gardener would give up on the Shoot, and not notice that the ConfigMap has been repaired.
func (a *Actuator) readConfigMap(ctx context.Context, garden client.Reader, namespace string) (*project.Configuration, error) {
	key := client.ObjectKey{Namespace: namespace, Name: project.ConfigMapName}
	configMap := &corev1.ConfigMap{}
	if err := garden.Get(ctx, key, configMap); apierrors.IsNotFound(err) {
		configMap = nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read ConfigMap %s in the garden: %w", key, err)
	}
	return project.Read(a.Defaults, configMap), nil
}
