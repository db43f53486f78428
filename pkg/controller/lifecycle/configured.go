// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Configured returns what has been written for the shoot with a namespace in the seed, before gardenlet has made its Extension: the Cluster of the
// seed has the Shoot by then. Its errors are as short as those of a reconciliation.
func (a *Actuator) Configured(ctx context.Context, namespace string) (*fluxv1alpha1.FluxConfig, error) {
	config, err := a.configured(ctx, namespace)
	return config, bounded(err)
}

func (a *Actuator) configured(ctx context.Context, namespace string) (*fluxv1alpha1.FluxConfig, error) {
	shoot, _, err := readShoot(ctx, a.Seed, namespace)
	if err != nil {
		return nil, err
	}
	if shoot == nil {
		return nil, fmt.Errorf("the Cluster %s of the seed holds no Shoot: gardenlet has not written it yet", namespace)
	}
	garden, err := a.Garden.Client(ctx)
	if err != nil {
		return nil, err
	}
	configuration, err := a.readConfigMap(ctx, garden, shoot.Namespace)
	if err != nil {
		return nil, err
	}
	effective, err := configuration.Effective(projectShoot(shoot, extensionOf(shoot)))
	if err != nil {
		return nil, err
	}
	return effective.Config, nil
}

// extensionOf has what a new Extension gets from its Shoot.
func extensionOf(shoot *gardencorev1beta1.Shoot) *extensionsv1alpha1.Extension {
	ex := &extensionsv1alpha1.Extension{}
	for _, written := range shoot.Spec.Extensions {
		if written.Type == Type {
			ex.Spec.ProviderConfig = written.ProviderConfig
		}
	}
	return ex
}
