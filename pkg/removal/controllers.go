// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// StopControllers deletes the Deployments of Flux and returns those, and their pods, that are not gone yet. While a pod
// is there, it can still act. Nobody else may bring the Deployments back meanwhile. Flux's Deployments are those among what the
// extension applied, and those in Flux's namespace with the labels of an installation. The error is a *shoot.Unfinished if there are more
// than can be deleted in a moment: then the next call goes on.
func (r Removal) StopControllers(ctx context.Context, applied []corev1.ObjectReference) (Left, error) {
	deployments, err := read(ctx, r.Shoot, without(applied, func(reference corev1.ObjectReference) bool { return reference.GroupVersionKind() != deploymentKind }))
	if err != nil {
		return nil, err
	}
	if err := r.beginFinalizersAnew(ctx, applied, deployments); err != nil {
		return nil, err
	}
	d := r.newDeletion(client.PropagationPolicy(metav1.DeletePropagationForeground))
	err = d.delete(ctx, deployments)
	if err == nil {
		err = d.deleteLabelled(ctx, deploymentKind)
	}
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return nil, fmt.Errorf("the controllers of Flux are being stopped in the shoot: %w", unfinished)
	} else if err != nil {
		return nil, err
	}
	err = shoot.List(ctx, r.Shoot, corev1.SchemeGroupVersion.WithKind("Pod"), func(pod *metav1.PartialObjectMetadata) (bool, error) {
		return d.left.add(pod), nil
	}, client.InNamespace(r.Namespace), r.installed())
	return d.left, err
}

// beginFinalizersAnew makes DropFinalizers visit all objects if there is a controller yet, which sets finalizers: because a removal has been
// given up and begun again, or because somebody has brought the controller back.
func (r Removal) beginFinalizersAnew(ctx context.Context, applied []corev1.ObjectReference, deployments []metav1.PartialObjectMetadata) error {
	if !slices.ContainsFunc(deployments, isAlive) {
		if works, err := r.HasControllers(ctx); err != nil || !works {
			return err
		}
	}
	kinds, err := r.kindsOf(ctx, applied)
	if err != nil {
		return err
	}
	return (&shoot.Sweep{Annotation: finalizersAnnotation}).Reset(ctx, r.Shoot, kinds...)
}

func isAlive(object metav1.PartialObjectMetadata) bool {
	return object.DeletionTimestamp == nil
}

// HasControllers tells whether the shoot has Deployments of Flux that are not being deleted, or so many that are that it can't be told in a
// moment.
func (r Removal) HasControllers(ctx context.Context) (bool, error) {
	has, slice := false, shoot.NewSlice()
	err := shoot.List(ctx, r.Shoot, deploymentKind, func(deployment *metav1.PartialObjectMetadata) (bool, error) {
		has = isAlive(*deployment) || slice.Over()
		return !has, nil
	}, client.InNamespace(r.Namespace), r.installed())
	return has, err
}
