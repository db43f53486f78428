// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package fluxready keeps condition FluxReady of Extensions of type shoot-flux: whether Flux follows the repository in the shoot.
//
// Gardener's health-check library runs checks that take a condition to be healthy or not. It is not used here, because it says
// "All health checks successful" for each success, where the revision belongs, and writes the Extension at each check.
package fluxready

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	name = "shoot-flux-ready"
	// workers are many because they do nothing but wait, some of them for shoots that don't answer.
	workers = 50
)

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// Type is the type of the Extensions.
	Type string
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
	// SyncPeriod is the time between two looks into a shoot in which something has changed lately. Default: [DefaultSyncPeriod].
	SyncPeriod time.Duration
	// Shoots are the way to the shoots, for kinds that NewMapper knows. Default: those of the manager's client, which then must not cache Secrets.
	Shoots *shoot.Clients
	// SetHealth, if set, changes in memory what is written with the condition: healthcheck.Set.
	SetHealth func(context.Context, *extensionsv1alpha1.Extension) error
	// PresentedHostKey tells which host key the Git server at a URL presents. It does not wait for the server, and returns
	// source.ErrPending as long as that is being asked. It is called now and then while Flux refuses the server.
	PresentedHostKey func(ctx context.Context, url string) (string, error)
}

// AddToManager adds the controller.
func AddToManager(mgr manager.Manager, args AddArgs) error {
	if args.Shoots == nil {
		args.Shoots = shoot.NewClients(mgr.GetClient(), NewMapper())
	}
	r := &reconciler{
		seed:             mgr.GetClient(),
		shoots:           args.Shoots,
		setHealth:        args.SetHealth,
		presentedHostKey: args.PresentedHostKey,
		syncPeriod:       cmp.Or(args.SyncPeriod, DefaultSyncPeriod),
	}
	predicates := predicateutils.AddTypeAndClassPredicates([]predicate.Predicate{operated()}, args.ExtensionClasses, args.Type)
	err := builder.ControllerManagedBy(mgr).
		Named(name).
		For(&extensionsv1alpha1.Extension{}, builder.WithPredicates(predicates...)).
		Watches(&resourcesv1alpha1.ManagedResource{}, handler.EnqueueRequestsFromMapFunc(func(_ context.Context, managedResource client.Object) []reconcile.Request {
			return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: managedResource.GetNamespace(), Name: args.Type}}}
		}), builder.WithPredicates(applied())).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return nil
}

// operated lets pass what makes it worthwhile to look into the shoot before it is time for it anyway: what an operation has come to.
func operated() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(update event.UpdateEvent) bool {
		now := stateOf(update.ObjectNew)
		return update.ObjectNew.GetDeletionTimestamp() != nil || now != stateOf(update.ObjectOld) && now.state != gardencorev1beta1.LastOperationStateProcessing
	}}
}

// applied lets pass that gardener-resource-manager has brought a configuration to the shoot.
func applied() predicate.Predicate {
	isApplied := func(object client.Object) bool {
		managedResource, ok := object.(*resourcesv1alpha1.ManagedResource)
		return ok && managedResource.Name == managedresource.Configuration && health.CheckManagedResourceApplied(managedResource) == nil
	}
	no := predicate.NewPredicateFuncs(func(client.Object) bool { return false })
	return predicate.Funcs{CreateFunc: no.Create, DeleteFunc: no.Delete, GenericFunc: no.Generic, UpdateFunc: func(update event.UpdateEvent) bool {
		return isApplied(update.ObjectNew) && !isApplied(update.ObjectOld)
	}}
}

type state struct {
	operation gardencorev1beta1.LastOperationType
	state     gardencorev1beta1.LastOperationState
}

func stateOf(object client.Object) state {
	ex, ok := object.(*extensionsv1alpha1.Extension)
	if !ok || ex.Status.LastOperation == nil {
		return state{}
	}
	return state{ex.Status.LastOperation.Type, ex.Status.LastOperation.State}
}
