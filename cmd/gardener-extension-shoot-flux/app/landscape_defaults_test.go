// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestLandscapeDefaults(t *testing.T) {
	for name, tc := range map[string]struct{ content, want string }{
		"none":       {"", ""},
		"a version":  {"flux: {version: 2.x}", ""},
		"misspelt":   {"flux: {versiom: 2.x}", "the defaults of the landscape are not valid: flux.versiom: Forbidden: unknown field, did you mean flux.version?"},
		"wrong":      {"flux: {version: newest}", `the defaults of the landscape are not valid: flux.version: Invalid value: "newest": write a release`},
		"not a list": {"[]", "the defaults of the landscape are not valid: defaults: Invalid value: it is a list: write fields of a FluxConfig"},
		"not YAML":   {"{", "the defaults of the landscape can't be read: it is not YAML: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			defaults := landscapeDefaults{file: filepath.Join(t.TempDir(), "defaults.yaml")}
			g.Expect(defaults.complete()).To(MatchError(HavePrefix("--landscape-defaults-file: failed to read the defaults of the landscape: ")))
			g.Expect(os.WriteFile(defaults.file, []byte(tc.content), 0o600)).To(Succeed())
			err := defaults.complete()
			if tc.want == "" {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(defaults.read != nil).To(Equal(tc.content != ""))
				return
			}
			g.Expect(err).To(MatchError(ContainSubstring(tc.want)))
		})
	}
}
