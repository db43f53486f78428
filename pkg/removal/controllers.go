// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// StopControllers deletes the Deployments of Flux and returns those, and their pods, that are not gone yet. While a pod
// is there, it can still act. Nobody else may bring the Deployments back meanwhile.
func StopControllers(ctx context.Context, shoot client.Client) (Left, error) {
	deployments, err := list(ctx, shoot, appsv1.SchemeGroupVersion.WithKind("Deployment"), client.InNamespace(render.Namespace), installed)
	if err != nil {
		return nil, err
	}
	left, err := deleteAll(ctx, shoot, deployments, client.PropagationPolicy(metav1.DeletePropagationForeground))
	if err != nil {
		return nil, err
	}
	pods, err := list(ctx, shoot, corev1.SchemeGroupVersion.WithKind("Pod"), client.InNamespace(render.Namespace), installed)
	for i := range pods {
		left = append(left, describe(&pods[i]))
	}
	return left, err
}

// HasControllers tells whether the shoot has Deployments of Flux that are not being deleted.
func HasControllers(ctx context.Context, shoot client.Reader) (bool, error) {
	deployments, err := list(ctx, shoot, appsv1.SchemeGroupVersion.WithKind("Deployment"), client.InNamespace(render.Namespace), installed)
	for _, deployment := range deployments {
		if deployment.DeletionTimestamp == nil {
			return true, nil
		}
	}
	return false, err
}
