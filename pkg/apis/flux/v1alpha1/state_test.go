// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

func TestStateOf(t *testing.T) {
	const version = `"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxState"`
	for name, tc := range map[string]struct {
		raw  string
		want OmegaMatcher
		err  OmegaMatcher
	}{
		"nothing": {"", BeZero(), Succeed()},
		"all fields": {`{` + version + `,"fluxVersion":"v2.9.4","migrating":true,"ownedByUsers":true,"predecessor":true,"targetNamespace":"default","removalPolicy":"keep-flux","removalPhase":"Begun"}`, And(
			HaveField("Predecessor", true), HaveField("TargetNamespace", "default"),
			HaveField("FluxVersion", "v2.9.4"), HaveField("Migrating", true), HaveField("OwnedByUsers", true),
			HaveField("RemovalPolicy", fluxv1alpha1.RemovalKeepFlux), HaveField("RemovalPhase", fluxv1alpha1.RemovalBegun)), Succeed()},
		"a field of a later release": {`{` + version + `,"fluxVersion":"v2.9.4","colour":"blue"}`, HaveField("FluxVersion", "v2.9.4"), Succeed()},
		"a version of a later release": {`{"apiVersion":"flux.extensions.gardener.cloud/v2","kind":"FluxState","fluxVersion":"v2.9.4"}`, BeZero(), MatchError(
			`the state of Extension shoot--one/shoot-flux in the seed has apiVersion "flux.extensions.gardener.cloud/v2" and kind "FluxState", ` +
				"which this release of the extension does not know: a newer one wrote it, and is needed on this seed too")},
		"something else":  {`{"apiVersion":"v1","kind":"` + strings.Repeat("x", 1<<20) + `"}`, BeZero(), MatchError(ContainSubstring(`kind "xxx`))},
		"no apiVersion":   {`{"fluxVersion":"v2.9.4"}`, BeZero(), MatchError(ContainSubstring("does not know"))},
		"another form":    {`["v2.9.4"]`, BeZero(), MatchError(ContainSubstring("can't be read"))},
		"no JSON":         {`v2.9.4`, BeZero(), MatchError(ContainSubstring("can't be read, and without it nothing is touched in the shoot"))},
		"the wrong types": {`{` + version + `,"migrating":"yes"}`, BeZero(), MatchError(ContainSubstring("can't be read"))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = "shoot--one", "shoot-flux"
			if tc.raw != "" {
				ex.Status.State = &runtime.RawExtension{Raw: []byte(tc.raw)}
			}
			state, err := fluxv1alpha1.StateOf(ex)
			g.Expect(err).To(tc.err)
			g.Expect(state).To(tc.want)
		})
	}
}

func TestSetState(t *testing.T) {
	g := NewWithT(t)
	ex := &extensionsv1alpha1.Extension{}
	state := fluxv1alpha1.FluxState{FluxVersion: "v2.9.4", RemovalPolicy: fluxv1alpha1.RemovalDeleteWorkloads}
	g.Expect(fluxv1alpha1.SetState(ex, state)).To(Succeed())
	g.Expect(string(ex.Status.State.Raw)).To(Equal(
		`{"kind":"FluxState","apiVersion":"flux.extensions.gardener.cloud/v1alpha1","fluxVersion":"v2.9.4","removalPolicy":"delete-workloads"}`))
	read, err := fluxv1alpha1.StateOf(ex)
	g.Expect(err).NotTo(HaveOccurred())
	read.TypeMeta = state.TypeMeta
	g.Expect(read).To(Equal(state))
}
