// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package embedded_test

import (
	"maps"
	"slices"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

func TestSource(t *testing.T) {
	g := NewWithT(t)
	var rendered []string
	source := embedded.New(func(tag string, files map[string][]byte) ([]byte, error) {
		rendered = append(rendered, tag)
		g.Expect(slices.Sorted(maps.Keys(files))).To(ContainElements("rbac.yaml", "policies.yaml", "source-controller.yaml"))
		return []byte(tag), nil
	})

	versions, err := source.Versions(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(versions).NotTo(BeEmpty())
	parsed := version.ParseTags(versions)
	for i := 1; i < len(parsed); i++ {
		g.Expect(parsed[i].LessThan(parsed[i-1])).To(BeTrue(), "newest first")
	}
	for _, tag := range versions {
		manifests, reference, err := source.Get(t.Context(), tag)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(manifests)).To(Equal(tag))
		g.Expect(reference).To(Equal("embedded"))
	}
	g.Expect(rendered).To(Equal(versions))

	_, _, err = source.Get(t.Context(), "v2.9.99")
	g.Expect(err).To(MatchError(failure.ErrNotFound))
}
