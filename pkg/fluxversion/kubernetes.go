// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxversion

import (
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// kubernetesMinimums are the oldest Kubernetes that minor versions of Flux support, up to this one and since the one before. They are what
// flux check --pre of each release demands (kubernetesConstraints in cmd/flux/check.go of github.com/fluxcd/flux2), oldest first. Releases
// newer than the last entry are taken to demand at least as much.
var kubernetesMinimums = []struct{ flux, kubernetes *semver.Version }{
	{minor(0, 27), semver.New(1, 16, 11, "", "")},
	{minor(0, 41), semver.New(1, 20, 6, "", "")},
	{minor(2, 0), minor(1, 24)},
	{minor(2, 1), minor(1, 25)},
	{minor(2, 2), minor(1, 26)},
	{minor(2, 4), minor(1, 28)},
	{minor(2, 5), minor(1, 30)},
	{minor(2, 6), minor(1, 31)},
	{minor(2, 7), minor(1, 32)},
	{minor(2, 9), minor(1, 33)},
}

func minor(major, minor uint64) *semver.Version {
	return semver.New(major, minor, 0, "", "")
}

// CheckKubernetes tells whether a release of Flux, such as v2.9.4, supports the Kubernetes version of a shoot, such as 1.36.3.
// Pre-release and build suffixes of the Kubernetes version don't count. An error of kind ErrUnsupportedKubernetes says what
// to do and where the version is written, one of kind ErrInvalidVersion that fluxVersion is not a release's tag. A Kubernetes version that can't be read is an
// error of neither kind.
func CheckKubernetes(fluxVersion, kubernetesVersion string, origins project.Origins) error {
	flux, err := version.Parse(fluxVersion)
	if err != nil {
		return failure.Mark(ErrInvalidVersion, fmt.Errorf("%q is not a version of Flux: %w", fluxVersion, err))
	}
	kubernetes, err := semver.NewVersion(kubernetesVersion)
	if err != nil {
		return fmt.Errorf("the shoot's Kubernetes version %q can't be compared with what Flux %s needs: %w", kubernetesVersion, fluxVersion, err)
	}
	kubernetes = semver.New(kubernetes.Major(), kubernetes.Minor(), kubernetes.Patch(), "", "")

	needed := minimumFor(flux)
	if !kubernetes.LessThan(needed) {
		return nil
	}
	return failure.New(ErrUnsupportedKubernetes, fmt.Sprintf("Flux %s needs Kubernetes %s or newer, but the shoot has %s: %s",
		fluxVersion, needed, kubernetesVersion, remedy(kubernetes, needed, origins)))
}

func minimumFor(flux *semver.Version) *semver.Version {
	for _, minimum := range kubernetesMinimums {
		if !minor(flux.Major(), flux.Minor()).GreaterThan(minimum.flux) {
			return minimum.kubernetes
		}
	}
	return kubernetesMinimums[len(kubernetesMinimums)-1].kubernetes
}

// remedy names the newest minor version of Flux that supports the shoot's Kubernetes, if one does.
func remedy(kubernetes, needed *semver.Version, origins project.Origins) string {
	update := fmt.Sprintf("update the shoot to Kubernetes %s or newer", needed)
	for i := len(kubernetesMinimums) - 1; i >= 0; i-- {
		if supported := kubernetesMinimums[i]; !kubernetes.LessThan(supported.kubernetes) {
			return fmt.Sprintf("set %s to a release of Flux v%d.%d, the newest that supports it, or %s",
				origins.Of(project.FieldVersion), supported.flux.Major(), supported.flux.Minor(), update)
		}
	}
	return update
}
