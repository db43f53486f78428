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
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"
)

const (
	name = "shoot-flux-healthcheck"
	// settling is the time from an event to the look at what it has come to.
	settling = 500 * time.Millisecond
)

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
	predicates := predicateutils.AddTypeAndClassPredicates(nil, args.ExtensionClasses, args.Type)
	err := builder.ControllerManagedBy(mgr).
		Named(name).
		Watches(&extensionsv1alpha1.Extension{}, enqueueExtension(args.Type, client.Object.GetNamespace), builder.WithPredicates(predicates...)).
		// Whether the shoot sleeps.
		Watches(&extensionsv1alpha1.Cluster{}, enqueueExtension(args.Type, client.Object.GetName)).
		Watches(&resourcesv1alpha1.ManagedResource{}, enqueueExtension(args.Type, client.Object.GetNamespace)).
		WithOptions(args.ControllerOptions).
		Complete(&reconciler{seed: mgr.GetClient(), fluxReadyAffectsShoot: args.FluxReadyAffectsShoot})
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return nil
}

// enqueueExtension enqueues the Extension in the namespace that an object tells, a moment later: what happens in that time is told at once, and
// the controllers that write the Extension's status because of the same event have done so.
func enqueueExtension(name string, namespaceOf func(client.Object) string) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(object client.Object, q queue) {
		q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespaceOf(object), Name: name}}, settling)
	}
	return handler.Funcs{
		CreateFunc: func(_ context.Context, e event.CreateEvent, q queue) { enqueue(e.Object, q) },
		UpdateFunc: func(_ context.Context, e event.UpdateEvent, q queue) { enqueue(e.ObjectNew, q) },
		DeleteFunc: func(_ context.Context, e event.DeleteEvent, q queue) { enqueue(e.Object, q) },
	}
}
