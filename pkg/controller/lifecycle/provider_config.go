// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"slices"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// projectShoot is what decides about the configuration of a shoot.
func projectShoot(shoot *gardencorev1beta1.Shoot, ex *extensionsv1alpha1.Extension) project.Shoot {
	of := project.Shoot{Namespace: shoot.Namespace, Name: shoot.Name, Labels: shoot.Labels}
	if state, err := fluxv1alpha1.StateOf(ex); err == nil {
		// Until a shoot is reconciled by this release of the extension, only the status knows.
		of.HadConfigMap = state.HasConfigMap || slices.ContainsFunc(fluxv1alpha1.StatusOf(ex).Configuration, func(field fluxv1alpha1.WrittenField) bool {
			return project.IsInConfigMap(field.Origin)
		})
	}
	if ex.Spec.ProviderConfig != nil {
		of.ProviderConfig = ex.Spec.ProviderConfig.Raw
	}
	return of
}
