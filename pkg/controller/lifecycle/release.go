// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// chooseRelease decides which release the shoot gets, and fetches it.
func (r *reconciliation) chooseRelease(ctx context.Context) error {
	if r.isOwnedByUsers() {
		return r.chooseUsersFlux(ctx)
	}
	if err := r.chooseManagedRelease(ctx); err != nil {
		return err
	}
	if r.desired.Installation == fluxv1alpha1.InstallationOnce {
		unprotected, err := r.desired.release.unprotected()
		if err != nil {
			return err
		}
		r.desired.release = unprotected
	}
	status := &r.desired.status
	if status.Digest == "" { // what was said when it was installed still holds
		*status = fluxv1alpha1.StatusOf(r.extension)
		status.Version = r.desired.version // nothing was said if the extension was killed right then
	}
	status.Requested, status.ResolvedFor = r.desired.Flux.Version, ""
	if project.FluxVersionFloats(r.desired.FluxConfig) {
		status.ResolvedFor = r.extension.Annotations[v1beta1constants.GardenerTimestamp]
	}
	return nil
}

// chooseManagedRelease takes the release that the project's admin wants, or the one that is there if the shoot's users are to have it.
func (r *reconciliation) chooseManagedRelease(ctx context.Context) (err error) {
	if r.isLeftToUsers() {
		r.desired.version = r.observed.fluxVersion
		r.desired.release, err = r.installedRelease(ctx)
		return err
	}
	choice, err := r.Releases.Choose(ctx, fluxversion.Request{
		Version:        r.desired.Flux.Version,
		Installed:      r.observed.fluxVersion,
		Kubernetes:     r.shoot.Spec.Kubernetes.Version,
		AllowDowngrade: ptr.Deref(r.desired.Flux.AllowDowngrade, false),
		Keep:           r.keepsVersion(),
		Origins:        r.desired.origins,
	})
	if err != nil {
		return err
	}
	return r.fetchRelease(ctx, choice)
}

// keepsVersion tells whether a floating version must not move now. It moves only when Gardener asks for a reconciliation, which
// is in the maintenance window or because the shoot's owner wants it, and not because the configuration was edited or the shoot came from
// another seed.
func (r *reconciliation) keepsVersion() bool {
	if isRestoring(r.extension) {
		return true
	}
	if resolvedFor := fluxv1alpha1.StatusOf(r.extension).ResolvedFor; resolvedFor != "" {
		return resolvedFor == r.extension.Annotations[v1beta1constants.GardenerTimestamp]
	}
	// It did not float before.
	return r.isReconfigured()
}

// isReconfigured tells whether something else has been written for the shoot than it has.
func (r *reconciliation) isReconfigured() bool {
	return r.observed.configurationDigest != "" && r.observed.configurationDigest != r.desired.digest
}

// isRestoring tells whether the shoot has just come from another seed.
func isRestoring(ex *extensionsv1alpha1.Extension) bool {
	last := ex.Status.LastOperation
	return last != nil && last.Type == gardencorev1beta1.LastOperationTypeRestore && last.State != gardencorev1beta1.LastOperationStateSucceeded
}

// variant is how a release is installed.
type variant struct {
	export.Options
	// registry is where its images come from, or empty for the landscape's.
	registry string
	// tolerations are of the taints that all nodes have.
	tolerations []corev1.Toleration
}

// variant is how a release is installed in the shoot.
func (r *reconciliation) variant() variant {
	return variant{
		Options:     export.Options{Namespace: r.desired.Flux.Namespace, Components: r.desired.Flux.AllComponents()},
		registry:    r.desired.Flux.Registry,
		tolerations: tolerationsFor(r.shoot),
	}
}

// fetchRelease fetches the chosen release, rendered as the shoot gets it. If it is the one that the shoot has, it need not be available any more.
func (r *reconciliation) fetchRelease(ctx context.Context, choice *fluxversion.Choice) error {
	images, err := r.Images()
	if err != nil {
		return err
	}
	fetched, err := r.Releases.Get(ctx, choice.Version)
	err = fluxversion.Correct(err, r.desired.origins)
	switch {
	case err == nil:
		r.desired.version, r.desired.warning = fetched.Version, choice.Warning
		r.desired.status = fluxv1alpha1.FluxStatus{Version: fetched.Version, Origin: fetched.Origin, Source: fetched.Source, Digest: fetched.Digest}
		r.desired.release, err = r.rendered.of(fetched, images, r.variant())
		return err
	case errors.Is(err, release.ErrPending): // it comes in a moment, and with it what else has changed
		return err
	case r.observed.installation == nil || r.observed.fluxVersion != choice.Version || r.observed.migrating:
		return err
	}
	installed, readErr := r.installedRelease(ctx)
	if readErr != nil {
		return fmt.Errorf("%w (what is installed can't be used in its place: %w)", err, readErr)
	}
	r.desired.release, r.desired.version = installed, choice.Version
	r.desired.warning = fmt.Sprintf("Flux %s stays as it is installed: %v", choice.Version, err)
	return nil
}

// installedRelease is what ManagedResource Installation has, as it is.
func (r *reconciliation) installedRelease(ctx context.Context) (*renderedRelease, error) {
	data, err := managedresource.DataOf(ctx, r.Seed, r.observed.installation)
	if err != nil {
		return nil, err
	}
	objects, err := data.Objects()
	if err != nil {
		return nil, err
	}
	installation, err := render.AdoptInstallation(objects)
	if err != nil {
		return nil, err
	}
	definitions, err := definitionsIn(objects)
	if err != nil {
		return nil, err
	}
	return (&renderedRelease{Installation: installation, data: data, definitions: namesOf(definitions)}).protected()
}

// logRelease says once which release a shoot gets, and because of what.
func (r *reconciliation) logRelease() {
	before, now := fluxv1alpha1.StatusOf(r.extension), r.desired.status
	if now.Version != before.Version || now.Digest != before.Digest || now.Requested != before.Requested || now.Origin != before.Origin {
		r.log.Info("The shoot gets Flux", "release", now.Version, "requested", now.Requested, "origin", now.Origin, "digest", now.Digest, "releaseBefore", before.Version)
	}
	if now.ResolvedFor != "" && r.isReconfigured() && r.keepsVersion() {
		r.log.Info("The configuration has changed, and the release stays until Gardener asks for a reconciliation", "release", now.Version, "requested", now.Requested)
	}
}
