// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const (
	// Type is the type of the Extension resources that the controller reconciles.
	Type = "shoot-flux"

	name = Type + "-lifecycle"

	// maxRetryDelay bounds the back-off of a failed reconciliation, so that a shoot heals soon after the project's
	// configuration has been repaired.
	maxRetryDelay = 30 * time.Second
)

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// ControllerOptions are the options of the controller. The rate limiter is set here.
	ControllerOptions controller.Options
	// IgnoreOperationAnnotation makes the controller reconcile at each change of an Extension, not only when gardenlet
	// asks for it.
	IgnoreOperationAnnotation bool
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
}

// AddToManager adds the controller that reconciles Extensions of type shoot-flux by the actuator.
func AddToManager(ctx context.Context, mgr manager.Manager, actuator extension.Actuator, args AddArgs) error {
	args.ControllerOptions.RateLimiter = workqueue.NewTypedWithMaxWaitRateLimiter(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request](), maxRetryDelay)
	return extension.Add(mgr, extension.AddArgs{
		Actuator:                  actuator,
		ControllerOptions:         args.ControllerOptions,
		Name:                      name,
		FinalizerSuffix:           Type,
		Predicates:                extension.DefaultPredicates(ctx, mgr, args.IgnoreOperationAnnotation),
		Type:                      Type,
		IgnoreOperationAnnotation: args.IgnoreOperationAnnotation,
		ExtensionClasses:          args.ExtensionClasses,
	})
}
