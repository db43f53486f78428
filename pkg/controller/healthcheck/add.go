// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package healthcheck keeps condition SystemComponentsHealthy of Extensions of type shoot-flux, which Gardener takes over into the Shoot:
// whether what the extension installs in the shoot is healthy.
//
// Gardener's health-check library looks again after a time, and writes the Extension each time. It is not used here: gardener-resource-manager
// looks into the shoot, its ManagedResources tell when something has changed, and whether the extension lives shows its heartbeat (gardenlet
// compares no other time, in pkg/utils/kubernetes/health/checker of Gardener).
package healthcheck

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"
)

const name = "shoot-flux-healthcheck"

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// ControllerOptions are the options of the controller.
	ControllerOptions controller.Options
	// Type is the type of the Extensions, which is also their name.
	Type string
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
	// FluxReadyAffectsShoot makes condition FluxReady of the Extension count, too: a mistake in a user's repository then shows in the
	// Shoot's health.
	FluxReadyAffectsShoot bool
}

// AddToManager adds the controller.
func AddToManager(mgr manager.Manager, args AddArgs) error {
	toExtension := func(namespaceOf func(client.Object) string) handler.EventHandler {
		return handler.EnqueueRequestsFromMapFunc(func(_ context.Context, object client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: namespaceOf(object), Name: args.Type}}}
		})
	}
	predicates := predicateutils.AddTypeAndClassPredicates(nil, args.ExtensionClasses, args.Type)
	err := builder.ControllerManagedBy(mgr).
		Named(name).
		For(&extensionsv1alpha1.Extension{}, builder.WithPredicates(predicates...)).
		// Whether the shoot sleeps.
		Watches(&extensionsv1alpha1.Cluster{}, toExtension(client.Object.GetName)).
		Watches(&resourcesv1alpha1.ManagedResource{}, toExtension(client.Object.GetNamespace)).
		WithOptions(args.ControllerOptions).
		Complete(&reconciler{seed: mgr.GetClient(), fluxReadyAffectsShoot: args.FluxReadyAffectsShoot})
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return nil
}
