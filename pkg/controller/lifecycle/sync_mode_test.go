// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestHandoverOfFollowed: who has managed the source and the Kustomization until now is known by what the status says of the configuration before.
func TestHandoverOfFollowed(t *testing.T) {
	const once, managed = fluxv1alpha1.SyncOnce, fluxv1alpha1.SyncManaged
	applied := &resourcesv1alpha1.ManagedResource{Status: resourcesv1alpha1.ManagedResourceStatus{Resources: []resourcesv1alpha1.ObjectReference{{ObjectReference: corev1.ObjectReference{
		APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Namespace: "flux-system", Name: "flux-system",
	}}}}}
	inShoot := fluxv1alpha1.FluxState{FluxVersion: "v2.9.4"}
	for name, test := range map[string]struct {
		mode     fluxv1alpha1.SyncMode
		said     string
		observed observed
		nothing  bool
		want     bool
	}{
		"managed until now":                {mode: once, observed: observed{configuration: applied, state: inShoot}, want: true},
		"managed, as it was written":       {mode: once, said: string(managed), observed: observed{configuration: applied, state: inShoot}, want: true},
		"still managed":                    {mode: managed, observed: observed{configuration: applied, state: inShoot}},
		"new":                              {mode: once, observed: observed{}},
		"new, and not theirs yet":          {mode: once, said: string(once), observed: observed{configuration: applied, state: inShoot}},
		"theirs already":                   {mode: once, observed: observed{configuration: applied, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.4", FollowedOnce: fluxv1alpha1.FollowedOnceMade}}},
		"nothing is followed":              {mode: once, observed: observed{configuration: applied, state: inShoot}, nothing: true},
		"nothing has come into the shoot":  {mode: once, observed: observed{configuration: &resourcesv1alpha1.ManagedResource{}, state: inShoot}},
		"Flux is handed over with both":    {mode: once, observed: observed{configuration: applied, installation: applied, protected: true, state: inShoot}},
		"Flux was handed over long before": {mode: once, observed: observed{configuration: applied, installation: applied, state: inShoot}, want: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex, status := &extensionsv1alpha1.Extension{}, fluxv1alpha1.FluxStatus{}
			if test.said != "" {
				status.Configuration = []fluxv1alpha1.WrittenField{{Field: "syncMode", Value: test.said, Origin: project.OriginProject}}
			}
			g.Expect(fluxv1alpha1.SetStatus(ex, status)).To(Succeed())
			r := &reconciliation{extension: ex, observed: test.observed, desired: desired{
				FluxConfig: &fluxv1alpha1.FluxConfig{SyncMode: test.mode, Installation: fluxv1alpha1.InstallationOnce}, origins: project.Origins{"syncMode": project.OriginShoot},
			}}
			if !test.nothing {
				r.desired.objects = []client.Object{ignored(flux.Kustomization, client.ObjectKey{Namespace: "flux-system", Name: "flux-system"})}
			}
			r.tellFollowedHandover()
			if !test.want {
				g.Expect(r.desired.status.Notices).To(BeEmpty())
				return
			}
			g.Expect(r.desired.status.Notices).To(ConsistOf(And(HaveField("Reason", "LeftToUsers"), HaveField("Type", "Warning"), HaveField("Message",
				"The source and the Kustomization of the shoot, which the extension has managed, belong to its users from now on: what is configured later has no effect, and what is changed "+
					"in the shoot stays (syncMode: Once, which comes from the providerConfig of the shoot). To take them back, set syncMode in the providerConfig of the shoot to Managed"))))
		})
	}
}
