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
func TestBelongsToUsers(t *testing.T) {
	applied := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Generation: 1}, Status: resourcesv1alpha1.ManagedResourceStatus{
		ObservedGeneration: 1, Conditions: []gardencorev1beta1.Condition{{Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue}},
	}}
	pending := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	for name, test := range map[string]struct {
		managed  bool
		has      present
		expected bool
	}{
		"nothing is there":        {},
		"theirs":                  {has: present{fluxVersion: "v2.9.0"}, expected: true},
		"the extension's":         {has: present{fluxVersion: "v2.9.0", protected: true}},
		"from another seed":       {has: present{fluxVersion: "v2.9.0", state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}, expected: true},
		"came no farther there":   {has: present{state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0"}}},
		"installed, and theirs":   {has: present{fluxVersion: "v2.9.0", installation: applied}, expected: true},
		"being installed":         {has: present{fluxVersion: "v2.9.0", installation: pending}},
		"in two steps":            {has: present{fluxVersion: "v2.9.0", installation: applied, migrating: true}},
		"noted, and not yet done": {has: present{fluxVersion: "v2.9.0", installation: pending, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}, expected: true},
		"managed from now on":     {managed: true, has: present{fluxVersion: "v2.9.0", installation: applied, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.0", OwnedByUsers: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			configuration := &wanted{FluxConfig: &fluxv1alpha1.FluxConfig{Installation: fluxv1alpha1.InstallationOnce}}
			if test.managed {
				configuration.Installation = fluxv1alpha1.InstallationManaged
			}
			NewWithT(t).Expect(belongsToUsers(configuration, &test.has)).To(Equal(test.expected))
		})
	}
}
