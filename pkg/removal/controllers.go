// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// StopControllers deletes the Deployments of Flux and returns those, and their pods, that are not gone yet. While a pod
// is there, it can still act. Nobody else may bring the Deployments back meanwhile. Flux's Deployments are those among what the
// extension applied, and those in Flux's namespace with the labels of an installation.
func StopControllers(ctx context.Context, c client.Client, applied []corev1.ObjectReference) (Left, error) {
	var left Left
	stop := func(deployment *metav1.PartialObjectMetadata) error {
		return left.delete(ctx, c, deployment, client.PropagationPolicy(metav1.DeletePropagationForeground))
	}
	for _, reference := range applied {
		if reference.GroupVersionKind() != deploymentKind {
			continue
		}
		if err := withObject(ctx, c, reference, stop); err != nil {
			return nil, err
		}
	}
	if err := listLabelled(ctx, c, deploymentKind, stop); err != nil {
		return nil, err
	}
	err := shoot.List(ctx, c, corev1.SchemeGroupVersion.WithKind("Pod"), func(pod *metav1.PartialObjectMetadata) (bool, error) {
		return left.add(pod), nil
	}, client.InNamespace(render.Namespace), installed)
	return left, err
}

// HasControllers tells whether the shoot has Deployments of Flux that are not being deleted.
func HasControllers(ctx context.Context, c client.Reader) (bool, error) {
	has := false
	err := listLabelled(ctx, c, deploymentKind, func(deployment *metav1.PartialObjectMetadata) error {
		has = has || deployment.DeletionTimestamp == nil
		return nil
	})
	return has, err
}

// withObject reads the metadata of an object, if it exists, and lets something be done with it.
func withObject(ctx context.Context, c client.Reader, reference corev1.ObjectReference, do func(*metav1.PartialObjectMetadata) error) error {
	object := &metav1.PartialObjectMetadata{}
	object.SetGroupVersionKind(reference.GroupVersionKind())
	switch err := c.Get(ctx, client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}, object); {
	case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // it is gone, or even its kind
		return nil
	case err != nil:
		object.Namespace, object.Name = reference.Namespace, reference.Name
		return fmt.Errorf("failed to read %s of the shoot: %w", describe(object), err)
	}
	return do(object)
}
