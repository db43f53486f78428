// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package version_test

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

func TestParse(t *testing.T) {
	for text, want := range map[string]struct{ release, isRange bool }{
		"v2.9.4":       {release: true},
		"2.9.4":        {release: true},
		"2.0.0-rc.5":   {release: true},
		"2.9":          {isRange: true},
		"v2":           {isRange: true},
		"~2.9.0":       {isRange: true},
		"*":            {isRange: true},
		"2.9.4+x":      {},
		"v2.9.4+x.1":   {},
		">=2.9.4+x":    {},
		"2.x || 3.0+x": {},
		"newest":       {},
		"vv2.9.4":      {},
		"":             {},
	} {
		t.Run(text, func(t *testing.T) {
			g := NewWithT(t)
			_, err := version.Parse(text)
			g.Expect(err == nil).To(Equal(want.release))
			if want.release {
				return
			}
			_, err = version.ParseRange(text)
			g.Expect(err == nil).To(Equal(want.isRange))
		})
	}
}
