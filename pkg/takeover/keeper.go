// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Labels that tell who takes care of an object.
const (
	managedByLabel = "app.kubernetes.io/managed-by"
	// operatorLabel is of flux-operator, on all that a FluxInstance installs.
	operatorLabel = "fluxcd.controlplane.io/name"
)

// checkDeployment looks at a Deployment of Flux. What somebody has installed once can be taken over. What a repository, Helm or
// flux-operator takes care of would be written by two in turn.
func (i *inspection) checkDeployment(ctx context.Context, key client.ObjectKey) error {
	found := &metav1.PartialObjectMetadata{}
	found.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	switch err := i.shoot.Get(ctx, key, found); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("failed to read Deployment %s of the shoot: %w", key, err)
	case i.isOurs(found):
		return nil
	}
	i.takesOver = true
	if program := programOf(found.Labels); program != "" {
		i.addKeeper("Deployment "+key.String(), program)
		return nil
	}
	return i.checkKeeper(ctx, "Deployment "+key.String(), found.Labels)
}

// checkKeeper looks for the Kustomization that deploys an object of Flux with these labels.
func (i *inspection) checkKeeper(ctx context.Context, object string, labels map[string]string) error {
	kustomization := deployerOf(labels)
	if kustomization.Name == "" {
		return nil
	}
	keeper, err := i.read(ctx, kustomizationKind, kustomization)
	if err != nil || keeper == nil || i.isOurs(keeper) || i.becomesOurs(kustomization) {
		return err
	}
	i.addKeeper(object, "Kustomization "+kustomization.String(), forget(kustomization))
	return nil
}

// becomesOurs tells whether a Kustomization by which Flux deploys itself is written at the same time, and its users want that: then Flux leaves
// alone what the extension protects, whatever the repository holds of it. (Whether something would be lost by that, checkRoot finds out.)
func (i *inspection) becomesOurs(kustomization client.ObjectKey) bool {
	return i.request.WasOfUsers && slices.ContainsFunc(i.request.Objects, func(object client.Object) bool {
		return object.GetObjectKind().GroupVersionKind().GroupKind() == kustomizationKind && client.ObjectKeyFromObject(object) == kustomization
	})
}

// programOf tells which program that knows nothing of protection takes care of an object with these labels. It is empty if none does.
func programOf(labels map[string]string) string {
	switch {
	case labels[operatorLabel] != "":
		return "flux-operator"
	case labels[managedByLabel] == "Helm":
		return "Helm"
	}
	return ""
}

// addKeeper says once who takes care of Flux.
func (i *inspection) addKeeper(object, keeper string, commands ...string) {
	if !i.conflict.ofFlux {
		i.conflict.add(ofFlux, fmt.Sprintf("Flux itself (%s) belongs to %s", object, keeper), commands...)
	}
	i.conflict.ofFlux = true
}
