// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Whose a shoot's Flux is with installation: once.
func TestIsOwnedByUsers(t *testing.T) {
	applied := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: resourcesv1alpha1.ManagedResourceStatus{
		ObservedGeneration: 1, Conditions: []gardencorev1beta1.Condition{{Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue}},
	}}
	pending := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	for name, test := range map[string]struct {
		managed  bool
		observed observed
		expected bool
	}{
		"nothing is there":        {},
		"theirs":                  {observed: observed{fluxVersion: "v2.9.0"}, expected: true},
		"the extension's":         {observed: observed{fluxVersion: "v2.9.0", protected: true}},
		"from another seed":       {observed: observed{fluxVersion: "v2.9.0", state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}, expected: true},
		"came no farther there":   {observed: observed{state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0"}}},
		"installed, and theirs":   {observed: observed{fluxVersion: "v2.9.0", installation: applied}, expected: true},
		"being installed":         {observed: observed{fluxVersion: "v2.9.0", installation: pending}},
		"in two steps":            {observed: observed{fluxVersion: "v2.9.0", installation: applied, migrating: true}},
		"noted, and not yet done": {observed: observed{fluxVersion: "v2.9.0", installation: pending, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}, expected: true},
		"managed from now on":     {managed: true, observed: observed{fluxVersion: "v2.9.0", installation: applied, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reconciliation{observed: test.observed, desired: desired{FluxConfig: &fluxv1alpha1.FluxConfig{Installation: fluxv1alpha1.InstallationOnce}}}
			if test.managed {
				r.desired.Installation = fluxv1alpha1.InstallationManaged
			}
			NewWithT(t).Expect(r.isOwnedByUsers()).To(Equal(test.expected))
		})
	}
}
