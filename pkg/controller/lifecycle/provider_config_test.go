// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// What was made from the project's ConfigMap is known from the state, or, of a shoot of an earlier release, from the status.
func TestShootHadConfigMap(t *testing.T) {
	for name, tc := range map[string]struct {
		state   fluxv1alpha1.FluxState
		origins []string
		want    bool
	}{
		"nothing known":  {want: false},
		"noted":          {state: fluxv1alpha1.FluxState{HasConfigMap: true}, want: true},
		"by a key":       {origins: []string{"landscape", "project"}, want: true},
		"by key config":  {origins: []string{"config"}, want: true},
		"by an override": {origins: []string{"overrides[3]"}, want: true},
		"by others":      {origins: []string{"landscape", "shoot", project.OriginForm}, want: false},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex, status := &extensionsv1alpha1.Extension{}, fluxv1alpha1.FluxStatus{}
			g.Expect(fluxv1alpha1.SetState(ex, tc.state)).To(Succeed())
			for _, origin := range tc.origins {
				status.Configuration = append(status.Configuration, fluxv1alpha1.WrittenField{Field: "repository.url", Origin: origin})
			}
			g.Expect(fluxv1alpha1.SetStatus(ex, status)).To(Succeed())
			g.Expect(projectShoot(&gardencorev1beta1.Shoot{}, ex).HadConfigMap).To(Equal(tc.want))
		})
	}
}

// TestProviderConfigIsBounded: what an owner of a shoot writes ends in the Extension's status, in events and in the garden.
func TestProviderConfigIsBounded(t *testing.T) {
	fluxConfig := func(fields string) string {
		return `{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig"` + fields + `}`
	}
	unknown := strings.Builder{}
	for i := range 200 {
		fmt.Fprintf(&unknown, `,"unknown-%d":1`, i)
	}
	for name, tc := range map[string]struct{ raw, want string }{
		"too long":            {fluxConfig(`,"installation":"` + strings.Repeat("x", 1<<20) + `"`), "providerConfig: Too long: may not be more than 32768 bytes"},
		"long value":          {fluxConfig(`,"installation":"` + strings.Repeat("x", 3000) + `"`), "installation: Too long: may not be more than 2048 bytes"},
		"many unknown fields": {fluxConfig(unknown.String()), "unknown-0: Forbidden: unknown field, the known ones here are "},
		"long kind":           {`{"apiVersion":"x/v1","kind":"` + strings.Repeat("x", 3000) + `"}`, "write apiVersion: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			shoot := &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{Namespace: "garden-dev", Name: "one"}}
			ex := &extensionsv1alpha1.Extension{}
			ex.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(tc.raw)}
			_, err := project.Read(nil, &corev1.ConfigMap{}).Effective(projectShoot(shoot, ex))
			g.Expect(err).To(MatchError(HavePrefix("field providerConfig of extension shoot-flux in Shoot garden-dev/one is not valid: ")))
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
			g.Expect(len(err.Error())).To(BeNumerically("<", 1300))
		})
	}
}
