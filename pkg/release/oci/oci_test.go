// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package oci

import (
	"errors"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
)

// What the registry's client says is shortened, and loses what can be a token.
func TestExplain(t *testing.T) {
	g := NewWithT(t)
	err := explain(t.Context(), "ghcr.io/flux", errors.New("no token in\n\"https://example.org/?token=secret\" "+strings.Repeat("x", 1000)))
	g.Expect(err).To(MatchError(HavePrefix(`ghcr.io/flux: no token in "https://example.org/" xxx`)))
	g.Expect(err.Error()).To(HaveLen(500))
}
