// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"time"

	"k8s.io/utils/ptr"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// chooseFlux decides which release the shoot gets, and fetches it.
func (a *Actuator) chooseFlux(ctx context.Context, ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot, configuration *wanted, has *present) (_ *chosen, err error) {
	defer metrics.ObservePhase(metrics.PhaseRelease, time.Now(), &err)
	if belongsToUsers(configuration, has) {
		return a.usersFlux(ctx, configuration, has)
	}
	flux, err := a.fluxToManage(ctx, ex, shoot, configuration, has)
	if err != nil {
		return nil, err
	}
	if configuration.Installation == fluxv1alpha1.InstallationOnce {
		if flux.installation, err = flux.unprotected(); err != nil {
			return nil, err
		}
	}
	if flux.status.Digest == "" { // what was said when it was installed still holds
		flux.status = fluxv1alpha1.StatusOf(ex)
		flux.status.Version = flux.version // nothing was said if the extension was killed right then
	}
	flux.status.Requested, flux.status.ResolvedFor = configuration.Flux.Version, ""
	if project.FluxVersionFloats(configuration.FluxConfig) {
		flux.status.ResolvedFor = ex.Annotations[v1beta1constants.GardenerTimestamp]
	}
	return flux, nil
}

// fluxToManage is the release that the project's admin wants, or the one that is there if the shoot's users are to have it.
func (a *Actuator) fluxToManage(ctx context.Context, ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot, configuration *wanted, has *present) (*chosen, error) {
	if goesToUsers(configuration, has) {
		installed, err := a.adopt(ctx, has)
		return &chosen{installation: installed, version: has.fluxVersion}, err
	}
	choice, err := a.Releases.Choose(ctx, fluxversion.Request{
		Version:        configuration.Flux.Version,
		Installed:      has.fluxVersion,
		Kubernetes:     shoot.Spec.Kubernetes.Version,
		AllowDowngrade: ptr.Deref(configuration.Flux.AllowDowngrade, false),
		Keep:           keepsFlux(ex, configuration, has),
	})
	if err != nil {
		return nil, err
	}
	return a.fetch(ctx, choice, variantFor(shoot, configuration.FluxConfig), has)
}

// keepsFlux tells whether a floating version must not move now. It moves only when Gardener asks for a reconciliation, which
// is in the maintenance window or because the shoot's owner wants it, and not because the configuration was edited or the shoot came from
// another seed.
func keepsFlux(ex *extensionsv1alpha1.Extension, configuration *wanted, has *present) bool {
	if isRestoring(ex) {
		return true
	}
	if resolvedFor := fluxv1alpha1.StatusOf(ex).ResolvedFor; resolvedFor != "" {
		return resolvedFor == ex.Annotations[v1beta1constants.GardenerTimestamp]
	}
	// It did not float before.
	return has.configurationDigest != "" && has.configurationDigest != configuration.projectDigest
}

// isRestoring tells whether the shoot has just come from another seed.
func isRestoring(ex *extensionsv1alpha1.Extension) bool {
	last := ex.Status.LastOperation
	return last != nil && last.Type == gardencorev1beta1.LastOperationTypeRestore && last.State != gardencorev1beta1.LastOperationStateSucceeded
}
