// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestRequestedVersion is of what counts when Flux becomes its users': what was configured for it, and not what is by now.
func TestRequestedVersion(t *testing.T) {
	managed := &resourcesv1alpha1.ManagedResource{Status: resourcesv1alpha1.ManagedResourceStatus{Resources: []resourcesv1alpha1.ObjectReference{{}}}}
	for name, test := range map[string]struct {
		installation fluxv1alpha1.InstallationMode
		observed     observed
		said         string // in the status, of what was configured
		state        fluxv1alpha1.FluxState
		ownedByUsers bool
		want         string
	}{
		"installed once":                {installation: fluxv1alpha1.InstallationOnce, want: "v2.9.4"},
		"theirs before":                 {installation: fluxv1alpha1.InstallationOnce, ownedByUsers: true, want: "v2.9.4"},
		"theirs, and noted":             {installation: fluxv1alpha1.InstallationOnce, ownedByUsers: true, state: fluxv1alpha1.FluxState{OwnedByUsers: true, RequestedVersion: "v2.9.0"}, want: "v2.9.0"},
		"handed over":                   {installation: fluxv1alpha1.InstallationOnce, observed: observed{installation: managed, protected: true, fluxVersion: "v2.9.2"}, said: "2.9.x", want: "2.9.x"},
		"handed over, and nothing said": {installation: fluxv1alpha1.InstallationOnce, observed: observed{installation: managed, protected: true, fluxVersion: "v2.9.2"}, want: "v2.9.2"},
		"being handed over": {
			installation: fluxv1alpha1.InstallationOnce, observed: observed{installation: managed, fluxVersion: "v2.9.2"}, said: "v2.9.4",
			state: fluxv1alpha1.FluxState{RequestedVersion: "2.9.x"}, want: "2.9.x",
		},
		"at last": {
			installation: fluxv1alpha1.InstallationOnce, observed: observed{installation: managed, fluxVersion: "v2.9.2"}, said: "v2.9.4", ownedByUsers: true,
			state: fluxv1alpha1.FluxState{RequestedVersion: "2.9.x"}, want: "2.9.x",
		},
		"managed again": {installation: fluxv1alpha1.InstallationManaged, state: fluxv1alpha1.FluxState{OwnedByUsers: true, RequestedVersion: "v2.9.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			g.Expect(fluxv1alpha1.SetStatus(ex, fluxv1alpha1.FluxStatus{Requested: test.said})).To(Succeed())
			r := &reconciliation{extension: ex, observed: test.observed, desired: desired{FluxConfig: &fluxv1alpha1.FluxConfig{Installation: test.installation}}}
			r.desired.Flux.Version = "v2.9.4"
			r.noteRequestedVersion(&test.state, test.ownedByUsers)
			g.Expect(test.state.RequestedVersion).To(Equal(test.want))
		})
	}
}

// TestHandover says who has written what the shoot's owner may not have meant, and how to take it back.
func TestHandover(t *testing.T) {
	g := NewWithT(t)
	r := &reconciliation{observed: observed{fluxVersion: "v2.9.2"}, desired: desired{
		FluxConfig: &fluxv1alpha1.FluxConfig{Installation: fluxv1alpha1.InstallationOnce, SyncMode: fluxv1alpha1.SyncOnce},
		origins:    project.Origins{"installation": project.OriginForm, "syncMode": "overrides[0]"},
	}}
	g.Expect(r.describeHandover()).To(And(HaveField("Reason", "LeftToUsers"), HaveField("Message", "Flux v2.9.2, which the extension has managed, belongs to the shoot's users from now on, as it is: "+
		"it is neither upgraded nor repaired any more (installation: once, which comes from the form of the providerConfig of the shoot). "+
		"To take it back, set installation in the providerConfig of the shoot to managed, and set syncMode in overrides[0] of ConfigMap flux-config to Managed")))
	r.desired.SyncMode, r.desired.origins = fluxv1alpha1.SyncManifestsOnly, project.Origins{"syncMode": project.OriginProject}
	g.Expect(r.describeHandover().Message).To(HaveSuffix("(syncMode: ManifestsOnly, which comes from ConfigMap flux-config). To take it back, set key syncMode of ConfigMap flux-config to Managed"))
}

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
