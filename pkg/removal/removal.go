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
// Each step looks at what is there and does what is still to be done, so that it can be repeated at any time. None waits: what
// takes its time is returned, and the step is to be repeated until nothing is. The clients must not cache.
package removal

import (
	"context"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// installed are the labels of everything that `flux install` makes, pods included, in every release
// (pkg/manifestgen/install/templates.go of Flux).
var installed = client.MatchingLabels{
	"app.kubernetes.io/part-of":  "flux",
	"app.kubernetes.io/instance": render.Namespace,
}

// Left are the objects that a step still waits for, as kind and name.
type Left []string

// named is how many objects are named.
const named = 3

// String names some of the objects.
func (l Left) String() string {
	if len(l) > named {
		return strings.Join(l[:named], ", ") + ", …"
	}
	return strings.Join(l, ", ")
}

// DeleteInstallation deletes what Flux was installed with: CustomResourceDefinitions and with them all objects of Flux, the
// roles in the cluster and their bindings, and the namespace with all that is in it. It returns what is not gone yet. What
// Flux's users have added to the installation is not spared.
func DeleteInstallation(ctx context.Context, shoot client.Client) (Left, error) {
	var left Left
	for _, gvk := range []schema.GroupVersionKind{
		rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"),
		rbacv1.SchemeGroupVersion.WithKind("ClusterRole"),
		apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"),
	} {
		found, err := list(ctx, shoot, gvk, installed)
		if err != nil {
			return nil, err
		}
		more, err := deleteAll(ctx, shoot, found)
		if err != nil {
			return nil, err
		}
		left = append(left, more...)
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	if err := shoot.Get(ctx, client.ObjectKey{Name: render.Namespace}, namespace); apierrors.IsNotFound(err) {
		return left, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read Namespace %s of the shoot: %w", render.Namespace, err)
	}
	more, err := deleteAll(ctx, shoot, []metav1.PartialObjectMetadata{*namespace})
	return append(left, more...), err
}

// list returns the objects of a kind, with their metadata only.
func list(ctx context.Context, shoot client.Reader, gvk schema.GroupVersionKind, options ...client.ListOption) ([]metav1.PartialObjectMetadata, error) {
	objects := &metav1.PartialObjectMetadataList{}
	objects.SetGroupVersionKind(gvk)
	if err := shoot.List(ctx, objects, options...); err != nil {
		return nil, fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", gvk.Kind, err)
	}
	for i := range objects.Items {
		objects.Items[i].SetGroupVersionKind(gvk)
	}
	return objects.Items, nil
}

// deleteAll deletes the objects that are not being deleted yet, and returns the names of all of them.
func deleteAll(ctx context.Context, shoot client.Client, objects []metav1.PartialObjectMetadata, options ...client.DeleteOption) (Left, error) {
	var left Left
	for i := range objects {
		object := &objects[i]
		left = append(left, describe(object))
		if object.DeletionTimestamp != nil {
			continue
		}
		if err := shoot.Delete(ctx, object, options...); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("failed to delete %s of the shoot: %w", describe(object), err)
		}
	}
	return left, nil
}

// describe returns kind and name of an object.
func describe(object *metav1.PartialObjectMetadata) string {
	if object.Namespace == "" {
		return object.Kind + " " + object.Name
	}
	return object.Kind + " " + object.Namespace + "/" + object.Name
}
