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
// however much the shoot's users have in it. The clients must not cache.
package removal

import (
	"context"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// DeleteInstallation deletes what Flux was installed with, but for its namespace: CustomResourceDefinitions and with them all objects
// of Flux, the roles in the cluster and their bindings, and in the namespace what runs. It returns what is not gone yet. That is
// what the extension applied, and what Flux's users have added to it (with the labels of an installation, see ours.go).
func DeleteInstallation(ctx context.Context, c client.Client, applied []corev1.ObjectReference) (Left, error) {
	var left Left
	remove := func(object *metav1.PartialObjectMetadata) error { return left.delete(ctx, c, object) }
	for _, reference := range applied {
		if reference.GroupVersionKind() == namespaceKind {
			continue
		}
		if err := withObject(ctx, c, reference, remove); err != nil {
			return nil, err
		}
	}
	for _, kind := range labelledKinds {
		if err := listLabelled(ctx, c, kind.GroupVersionKind, remove); err != nil {
			return nil, err
		}
	}
	return left, nil
}
