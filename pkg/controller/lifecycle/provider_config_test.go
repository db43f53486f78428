// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestSizeOfProviderConfigErrors: what a shoot's owner writes must not fill the status of the Extension.
func TestSizeOfProviderConfigErrors(t *testing.T) {
	fluxConfig := func(fields string) string {
		return `{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig"` + fields + "}"
	}
	var unknown strings.Builder
	for i := range 200 {
		fmt.Fprintf(&unknown, `,"unknown-%d":1`, i)
	}
	for name, tc := range map[string]struct{ raw, want string }{
		"too long": {fluxConfig(`,"installation":"` + strings.Repeat("x", 1<<20) + `"`),
			"it has more than 4096 bytes: write apiVersion: flux.extensions.gardener.cloud/v1alpha1, kind: FluxConfig, and the fields installation and removalPolicy"},
		"long value":          {fluxConfig(`,"installation":"` + strings.Repeat("x", 3000) + `"`), `installation: Unsupported value: "xxx`},
		"many unknown fields": {fluxConfig(unknown.String()), `unknown field "unknown-0"`},
		"long kind":           {`{"apiVersion":"x/v1","kind":"` + strings.Repeat("x", 3000) + `"}`, "write apiVersion: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			configuration := &fluxv1alpha1.FluxConfig{}
			project.SetDefaults(configuration)
			err := override(configuration, &runtime.RawExtension{Raw: []byte(tc.raw)})
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
			g.Expect(len(err.Error())).To(BeNumerically("<", 600))
		})
	}
}
