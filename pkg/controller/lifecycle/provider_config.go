// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"strings"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// projectShoot is what decides about the configuration of a shoot.
func projectShoot(shoot *gardencorev1beta1.Shoot, ex *extensionsv1alpha1.Extension) project.Shoot {
	of := project.Shoot{Namespace: shoot.Namespace, Name: shoot.Name, Labels: shoot.Labels}
	if ex.Spec.ProviderConfig != nil {
		of.ProviderConfig = ex.Spec.ProviderConfig.Raw
	}
	return of
}

// checkSupported refuses what can be written, and does not have an effect yet.
func checkSupported(config *fluxv1alpha1.FluxConfig) error {
	var unsupported []string
	refuse := func(written bool, name string) {
		if written {
			unsupported = append(unsupported, name)
		}
	}
	if r := config.Repository; r != nil {
		refuse(r.IsOCI(), "artifacts (oci://)")
		refuse(r.Tag != "" || r.Semver != "" || r.Commit != "" || r.RefName != "" || r.Digest != "", "another reference than a branch")
		refuse(r.Verify != nil, "verification")
	}
	refuse(config.SyncMode == fluxv1alpha1.SyncOnce && (config.Repository != nil || config.Source != nil), "syncMode Once")
	refuse(config.IsSuspended(), "suspend")
	if len(unsupported) > 0 {
		return fmt.Errorf("this release of the extension does not support yet: %s", strings.Join(unsupported, ", "))
	}
	return nil
}
