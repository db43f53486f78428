// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// chosen is the release that a shoot gets.
type chosen struct {
	*installation
	version string
	// ofUsers tells that it is in the shoot already, and its users'.
	ofUsers bool
	// status is what to say about it.
	status fluxv1alpha1.FluxStatus
	// warning is empty or a sentence for people.
	warning string
}

// variant is how a release is installed.
type variant struct {
	export.Options
	// registry is where its images come from, or empty for the landscape's.
	registry string
	// tolerations are of the taints that all nodes have.
	tolerations []corev1.Toleration
}

// variantFor is how a release is installed in a shoot.
func variantFor(shoot *gardencorev1beta1.Shoot, configuration *fluxv1alpha1.FluxConfig) variant {
	return variant{
		Options:     export.Options{Namespace: configuration.Flux.Namespace, Components: configuration.Flux.AllComponents()},
		registry:    configuration.Flux.Registry,
		tolerations: tolerationsFor(shoot),
	}
}

// fetch returns the chosen release, rendered in a variant. If it is the one that the shoot has, it need not be available any more.
func (a *Actuator) fetch(ctx context.Context, choice *fluxversion.Choice, as variant, has *present) (*chosen, error) {
	images, err := a.Images()
	if err != nil {
		return nil, err
	}
	flux, err := a.Releases.Get(ctx, choice.Version)
	switch {
	case err == nil:
		rendered, err := a.installations.of(flux, images, as)
		return &chosen{
			installation: rendered, version: flux.Version, warning: choice.Warning,
			status: fluxv1alpha1.FluxStatus{Version: flux.Version, Origin: flux.Origin, Source: flux.Source, Digest: flux.Digest},
		}, err
	case errors.Is(err, release.ErrPending): // it comes in a moment, and with it what else has changed
		return nil, err
	case has.installation == nil || has.fluxVersion != choice.Version || has.migrating:
		return nil, err
	}
	installed, adoptErr := a.adopt(ctx, has)
	if adoptErr != nil {
		return nil, fmt.Errorf("%w (what is installed can't be used in its place: %w)", err, adoptErr)
	}
	return &chosen{installation: installed, version: choice.Version, warning: fmt.Sprintf("Flux %s stays as it is installed: %v", choice.Version, err)}, nil
}

// adopt takes the installation that the shoot has as it is.
func (a *Actuator) adopt(ctx context.Context, has *present) (*installation, error) {
	data, err := managedresource.DataOf(ctx, a.Seed, has.installation)
	if err != nil {
		return nil, err
	}
	objects, err := data.Objects()
	if err != nil {
		return nil, err
	}
	adopted, err := render.AdoptInstallation(objects)
	if err != nil {
		return nil, err
	}
	definitions, err := definitionsIn(objects)
	if err != nil {
		return nil, err
	}
	return (&installation{Installation: adopted, data: data, definitions: namesOf(definitions)}).protected()
}
