// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/controllerutils"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const (
	// Type is the type of the Extension resources that the controller reconciles.
	Type = "shoot-flux"

	name = Type + "-lifecycle"
)

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// ControllerOptions are the options of the controller. Without a rate limiter, a shoot is tried again after half a second, then
	// less and less often, and at least every 30 seconds.
	ControllerOptions controller.Options
	// IgnoreOperationAnnotation makes the controller reconcile at each change of an Extension, not only when gardenlet
	// asks for it.
	IgnoreOperationAnnotation bool
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
	// Garden is the way into the garden in which the Seed tells of an emergency stop. Without it, only what gardenlet last told
	// the seed counts.
	Garden *garden.Access
	// ReconcileOnConfigurationChange makes the controller watch the ConfigMaps flux-config and the Secrets flux-source in the actuator's garden, so
	// that a change reaches the shoots of the project at once. Without it, a change reaches a shoot when gardenlet next reconciles it.
	ReconcileOnConfigurationChange bool
	// Sources are the actuator's. When a Git server has told its host keys, the shoots that wait for them are reconciled at once.
	// Without it, they wait for their next try.
	Sources *sourcesecret.Keeper
}

// AddToManager adds the controller that reconciles Extensions of type shoot-flux by the actuator.
func AddToManager(ctx context.Context, mgr manager.Manager, actuator *Actuator, args AddArgs) error {
	pauses := &pauses{}
	if args.Garden != nil {
		pauses.stop = &garden.EmergencyStop{Access: args.Garden, Log: mgr.GetLogger().WithName("emergency-stop")}
	}
	if err := indexClusters(ctx, mgr); err != nil {
		return err
	}
	missed := newMissedChanges()
	retrier := newRetrier(mgr, pauses, missed)
	if err := retrier.addToManager(mgr, args.ExtensionClasses); err != nil {
		return err
	}
	watches := extensionscontroller.NewWatchBuilder(watchDeletions(mgr), retrier.watch)
	if args.ReconcileOnConfigurationChange {
		watches.Register(watchConfigurations(mgr, actuator, missed), watchSources(mgr, actuator.Garden, missed))
	}
	if args.Sources != nil {
		watches.Register(watchAnswers(mgr, args.Sources))
	}
	c, err := newController(ctx, mgr, actuator, args, pauses)
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return watches.AddToController(c)
}

// newController does what extension.Add of Gardener's library does, but for the pauses: the library's reconciler writes a status before
// anybody could tell it not to.
func newController(ctx context.Context, mgr manager.Manager, actuator *Actuator, args AddArgs, pauses *pauses) (controller.Controller, error) {
	options := args.ControllerOptions
	if options.RateLimiter == nil {
		options.RateLimiter = workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetryDelay, maxRetryDelay)
	}
	if options.ReconciliationTimeout == 0 {
		options.ReconciliationTimeout = controllerutils.DefaultReconciliationTimeout
	}
	predicates := append([]predicate.Predicate{predicateutils.HasType(Type), predicateutils.HasClass(args.ExtensionClasses...)},
		extension.DefaultPredicates(ctx, mgr, args.IgnoreOperationAnnotation)...)
	operated := builder.ControllerManagedBy(mgr).
		Named(name).
		WithOptions(options).
		Watches(&extensionsv1alpha1.Extension{}, &handler.EnqueueRequestForObject{}, builder.WithPredicates(predicates...))
	if args.IgnoreOperationAnnotation {
		operated = operated.Watches(&extensionsv1alpha1.Cluster{}, handler.EnqueueRequestsFromMapFunc(extension.ClusterToExtensionMapper(mgr.GetClient(), predicates...)))
	}
	extensions := &extensionClient{Client: mgr.GetClient()}
	return operated.Build(&pausable{
		Reconciler: &libraryReconciler{
			Reconciler: extension.NewReconciler(withExtensionClient{mgr, extensions}, extension.AddArgs{Actuator: actuator, FinalizerSuffix: Type}),
			extensions: extensions,
		},
		seed:   mgr.GetClient(),
		pauses: pauses,
	})
}
