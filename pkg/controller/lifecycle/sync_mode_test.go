// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// appliedRoot is a ManagedResource by which the shoot has its Kustomization.
func appliedRoot() *resourcesv1alpha1.ManagedResource {
	return &resourcesv1alpha1.ManagedResource{Status: resourcesv1alpha1.ManagedResourceStatus{Resources: []resourcesv1alpha1.ObjectReference{{ObjectReference: corev1.ObjectReference{
		APIVersion: "kustomize.toolkit.fluxcd.io/v1", Kind: "Kustomization", Namespace: "flux-system", Name: "flux-system",
	}}}}}
}

// TestHandoverOfFollowed: who has managed the source and the Kustomization until now is known by what the status says of the configuration before.
func TestHandoverOfFollowed(t *testing.T) {
	const once, managed = fluxv1alpha1.SyncOnce, fluxv1alpha1.SyncManaged
	applied := appliedRoot()
	inShoot := fluxv1alpha1.FluxState{FluxVersion: "v2.9.4"}
	for name, test := range map[string]struct {
		mode     fluxv1alpha1.SyncMode
		said     string
		observed observed
		nothing  bool
		other    string
		want     bool
	}{
		"managed until now":                    {mode: once, observed: observed{configuration: applied, state: inShoot}, want: true},
		"managed, as it was written":           {mode: once, said: string(managed), observed: observed{configuration: applied, state: inShoot}, want: true},
		"still managed":                        {mode: managed, observed: observed{configuration: applied, state: inShoot}},
		"new":                                  {mode: once, observed: observed{}},
		"new, and not theirs yet":              {mode: once, said: string(once), observed: observed{configuration: applied, state: inShoot}},
		"theirs already":                       {mode: once, observed: observed{configuration: applied, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.4", FollowedOnce: fluxv1alpha1.FollowedOnceMade}}},
		"nothing is followed":                  {mode: once, observed: observed{configuration: applied, state: inShoot}, nothing: true},
		"others are made, and managed ones go": {mode: once, observed: observed{configuration: applied, state: inShoot}, other: "apps"},
		"nothing has come into the shoot":      {mode: once, observed: observed{configuration: &resourcesv1alpha1.ManagedResource{}, state: inShoot}},
		"Flux is handed over with both":        {mode: once, observed: observed{configuration: applied, installation: applied, protected: true, state: inShoot}},
		"Flux was handed over long before":     {mode: once, observed: observed{configuration: applied, installation: applied, state: inShoot}, want: true},
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
				r.desired.objects = []client.Object{ignored(flux.Kustomization, client.ObjectKey{Namespace: "flux-system", Name: cmp.Or(test.other, "flux-system")})}
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

// TestPruningIsPreventedWhileTheRootGoes: with a source and a Kustomization of the shoot's users, nothing is written over. But the extension's former ones
// may go, and with them what they deployed.
func TestPruningIsPreventedWhileTheRootGoes(t *testing.T) {
	asked := errors.New("the shoot was asked")
	kind := flux.Kustomization.WithVersion("v1")
	mapper := meta.NewDefaultRESTMapper([]schema.GroupVersion{kind.GroupVersion()})
	mapper.Add(kind, meta.RESTScopeNamespace)
	shoot := interceptor.NewClient(fake.NewClientBuilder().WithRESTMapper(mapper).Build(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return asked
		},
	})
	for name, test := range map[string]struct {
		configuration *resourcesv1alpha1.ManagedResource
		want          types.GomegaMatcher
	}{
		"nothing goes":        {nil, Succeed()},
		"the former one goes": {appliedRoot(), MatchError(asked)},
	} {
		t.Run(name, func(t *testing.T) {
			r := &reconciliation{
				knownShootClient: shoot,
				observed: observed{
					deployer: client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}, configuration: test.configuration, state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.4"},
				},
				desired: desired{
					FluxConfig: &fluxv1alpha1.FluxConfig{SyncMode: fluxv1alpha1.SyncOnce, Flux: fluxv1alpha1.FluxInstallation{Namespace: "flux-system"}},
					found:      []client.Object{ignored(flux.Kustomization, client.ObjectKey{Namespace: "apps", Name: "apps"})},
				},
			}
			NewWithT(t).Expect(r.preventPruning(t.Context())).To(test.want)
		})
	}
}
