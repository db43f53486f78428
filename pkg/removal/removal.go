// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package removal takes Flux out of a shoot whose workloads stay, in steps.
//
// The order of the steps is what matters. Each object of Flux has the finalizer of the controller that works on it. While the
// controller runs, the deletion of a Kustomization deletes what it deployed, and that of a HelmRelease uninstalls it, also
// when they only go because their CustomResourceDefinition does. Once the controller is gone, an object with its finalizer
// stays forever. So the controllers go first (StopControllers), then the finalizer (DropFinalizers), and only then what they
// were installed with (DeleteInstallation). `flux uninstall` does the same
// (https://fluxcd.io/flux/cmd/flux_uninstall/).
//
// The namespace of Flux goes last, and only if it holds nothing of somebody else (DeleteNamespace): Helm, for example, keeps there
// what it knows about the releases of HelmReleases in this namespace.
//
// Each step looks at what is there and does what is still to be done, so that it can be repeated at any time. None waits: what
// takes its time is returned, and the step is to be repeated until nothing is. Nor does one hold a worker for more than some seconds,
// however much the shoot's users have in it.
package removal

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// Removal takes one Flux out of a shoot.
type Removal struct {
	// Shoot is a client of the shoot. It must not cache.
	Shoot client.Client
	// Namespace is where Flux is installed.
	Namespace string
	// Source and Kustomization are what makes Flux follow something, if they are others than flux-system in Namespace.
	Source, Kustomization client.ObjectKey
	// LeftSource is the kind of Source, if the extension has made both and left them to the shoot's users. Then their origin says nothing.
	LeftSource flux.SourceKind
}

// isLeft tells whether an object is one that the extension has made and left to the shoot's users.
func (r Removal) isLeft(object client.Object) bool {
	if r.LeftSource.Kind == "" {
		return false
	}
	kind, key := object.GetObjectKind().GroupVersionKind().GroupKind(), client.ObjectKeyFromObject(object)
	return kind == r.LeftSource.GroupKind && key == r.keyOf(r.LeftSource.ObjectKind) || kind == flux.Kustomization.GroupKind && key == r.keyOf(flux.Kustomization)
}

// keyOf is the name of what makes Flux follow something, of a kind.
func (r Removal) keyOf(kind flux.ObjectKind) client.ObjectKey {
	key := r.Source
	if kind.GroupKind == flux.Kustomization.GroupKind {
		key = r.Kustomization
	}
	return cmp.Or(key, client.ObjectKey{Namespace: r.Namespace, Name: flux.Name})
}

// DeleteInstallation deletes what Flux was installed with, but for its namespace: CustomResourceDefinitions and with them all objects
// of Flux, the roles in the cluster and their bindings, and in the namespace what runs. It returns what is not gone yet. That is
// what the extension applied, and what Flux's users have added to it (with the labels of an installation, see ours.go). The error is a
// *shoot.Unfinished if there is more than can be deleted in a moment: then the next call goes on.
func (r Removal) DeleteInstallation(ctx context.Context, applied []corev1.ObjectReference) (Left, error) {
	objects, err := r.readInstallation(ctx, applied)
	if err != nil {
		return nil, err
	}
	besides, err := r.readBesides(ctx)
	if err != nil {
		return nil, err
	}
	objects = append(objects, besides...)
	d := r.newDeletion()
	err = d.delete(ctx, objects)
	for _, kind := range runningKinds {
		if err == nil {
			err = d.deleteLabelled(ctx, kind)
		}
	}
	if unfinished, ok := errors.AsType[*shoot.Unfinished](err); ok {
		return nil, fmt.Errorf("what Flux was installed with is being deleted from the shoot: %w", unfinished)
	} else if err != nil {
		return nil, err
	}
	return d.left, nil
}

// readInstallation returns what the extension applied, but for the namespace, and what else belongs to an installation outside of it.
func (r Removal) readInstallation(ctx context.Context, applied []corev1.ObjectReference) ([]metav1.PartialObjectMetadata, error) {
	objects, err := read(ctx, r.Shoot, without(applied, func(reference corev1.ObjectReference) bool { return reference.GroupVersionKind() == namespaceKind }))
	if err != nil {
		return nil, err
	}
	others, err := read(ctx, r.Shoot, without(r.installation(), func(reference corev1.ObjectReference) bool { return slices.Contains(applied, reference) }))
	return append(objects, slices.DeleteFunc(others, func(object metav1.PartialObjectMetadata) bool { return !r.isInstalled(&object) })...), err
}

// readBesides returns what is left of what came with an installation. It goes with the ManagedResources, but for what another seed has made, and
// while gardenlet lets their objects stay, because the shoot is leaving.
func (r Removal) readBesides(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	references, err := r.besides(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := read(ctx, r.Shoot, references)
	return slices.DeleteFunc(objects, func(object metav1.PartialObjectMetadata) bool {
		ours := cameFrom(&object, managedresource.Installation) || cameFrom(&object, managedresource.Configuration)
		return !ours || !render.IsProtected(object.Annotations)
	}), err
}

func without(references []corev1.ObjectReference, drop func(corev1.ObjectReference) bool) []corev1.ObjectReference {
	return slices.DeleteFunc(slices.Clone(references), drop)
}
