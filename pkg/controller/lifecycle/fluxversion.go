// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
)

// chooseFlux decides which release the shoot gets, and fetches it.
func (a *Actuator) chooseFlux(ctx context.Context, ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot, configuration *wanted, has *present) (_ *chosen, err error) {
	defer metrics.ObservePhase(metrics.PhaseRelease, time.Now(), &err)
	if belongsToUsers(configuration, has) {
		return a.usersFlux(ctx, ex.Namespace, configuration, has)
	}
	choice, err := a.Releases.Choose(ctx, release.Request{
		Version:        configuration.FluxVersion,
		Installed:      has.fluxVersion,
		Kubernetes:     shoot.Spec.Kubernetes.Version,
		AllowDowngrade: configuration.AllowDowngrade,
		Keep:           keepsFlux(ex, configuration, has),
	})
	if err != nil {
		return nil, err
	}
	flux, err := a.fetch(ctx, choice, has)
	if err != nil {
		return nil, err
	}
	if flux.status.Digest == "" { // what was said when it was installed still holds
		flux.status = fluxv1alpha1.StatusOf(ex)
		flux.status.Version = flux.version // nothing was said if the extension was killed right then
	}
	flux.status.Requested, flux.status.ResolvedFor = configuration.FluxVersion, ""
	if configuration.FluxVersionFloats() {
		flux.status.ResolvedFor = ex.Annotations[v1beta1constants.GardenerTimestamp]
	}
	return flux, nil
}

// keepsFlux tells whether a floating version must not move now. It moves only when Gardener asks for a reconciliation, which
// is in the maintenance window or because the shoot's owner wants it, and not because the configuration was edited or the shoot came from
// another seed.
func keepsFlux(ex *extensionsv1alpha1.Extension, configuration *wanted, has *present) bool {
	if isRestored(ex) {
		return true
	}
	if resolvedFor := fluxv1alpha1.StatusOf(ex).ResolvedFor; resolvedFor != "" {
		return resolvedFor == ex.Annotations[v1beta1constants.GardenerTimestamp]
	}
	// It did not float before.
	return has.configurationDigest != "" && has.configurationDigest != configuration.projectDigest
}
