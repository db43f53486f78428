// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package healthcheck tells Gardener whether what the extension installs in a shoot is healthy.
package healthcheck

import (
	"cmp"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	extensionsconfigv1alpha1 "github.com/gardener/gardener/extensions/pkg/apis/config/v1alpha1"
	"github.com/gardener/gardener/extensions/pkg/controller/healthcheck"
	"github.com/gardener/gardener/extensions/pkg/controller/healthcheck/general"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// DefaultSyncPeriod is how often the conditions of an Extension are refreshed.
const DefaultSyncPeriod = 30 * time.Second

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// ControllerOptions are the options of the controller.
	ControllerOptions controller.Options
	// Type is the type of the Extensions.
	Type string
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
	// FluxReadyAffectsShoot makes condition FluxReady of the Extension count for SystemComponentsHealthy too: a mistake in a
	// user's repository then shows in the Shoot's health.
	FluxReadyAffectsShoot bool
	// SyncPeriod is how often the conditions of an Extension are refreshed. Default: [DefaultSyncPeriod].
	SyncPeriod time.Duration
}

// AddToManager adds the controller that maps both ManagedResources of an Extension to its condition SystemComponentsHealthy,
// which Gardener takes over into the Shoot.
func AddToManager(mgr manager.Manager, args AddArgs) error {
	checks := []healthcheck.ConditionTypeToHealthCheck{
		check(general.CheckManagedResource(managedresource.Installation)),
		check(general.CheckManagedResource(managedresource.Configuration)),
	}
	if args.FluxReadyAffectsShoot {
		checks = append(checks, check(&fluxReady{seed: mgr.GetClient()}))
	}
	return healthcheck.DefaultRegistration(
		args.Type,
		extensionsv1alpha1.SchemeGroupVersion.WithKind(extensionsv1alpha1.ExtensionResource),
		func() client.ObjectList { return &extensionsv1alpha1.ExtensionList{} },
		func() extensionsv1alpha1.Object { return &extensionsv1alpha1.Extension{} },
		mgr,
		healthcheck.DefaultAddArgs{
			Controller:        args.ControllerOptions,
			HealthCheckConfig: extensionsconfigv1alpha1.HealthCheckConfig{SyncPeriod: metav1.Duration{Duration: cmp.Or(args.SyncPeriod, DefaultSyncPeriod)}},
			ExtensionClasses:  args.ExtensionClasses,
		},
		nil,
		checks,
		nil,
	)
}

func check(healthCheck healthcheck.HealthCheck) healthcheck.ConditionTypeToHealthCheck {
	return healthcheck.ConditionTypeToHealthCheck{
		ConditionType: string(gardencorev1beta1.ShootSystemComponentsHealthy),
		HealthCheck:   healthCheck,
	}
}
