// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestCurrent says it sooner than make check-generate.
func TestCurrent(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	committed := map[string]string{}
	for name := range parts {
		document, err := os.ReadFile(filepath.Join("../..", name))
		g.Expect(err).NotTo(HaveOccurred())
		committed[name] = string(document)
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(root, name)), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(root, name), document, 0o644)).To(Succeed())
	}
	g.Expect(run(root)).To(Succeed())
	for name, document := range committed {
		generated, err := os.ReadFile(filepath.Join(root, name))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(string(generated)).To(Equal(document), "run make generate")
	}
}

func TestReplace(t *testing.T) {
	g := NewWithT(t)
	g.Expect(replace("a\n  # "+begin+": do this\nold\n  # "+end+".\nz\n", "new\n")).To(Equal("a\n  # " + begin + ": do this\nnew\n  # " + end + ".\nz\n"))
	for _, document := range []string{"", begin + "\n", end + "\n" + begin + "\n"} {
		_, err := replace(document, "new\n")
		g.Expect(err).To(MatchError(ContainSubstring("are missing")))
	}
}

func TestAnotherKey(t *testing.T) {
	g := NewWithT(t)
	keys := []project.Key{
		{Name: "one", Meaning: "the first", Default: "a", OneOf: []string{"a", "b"}},
		{Name: "two", Meaning: "the second", Without: "nothing", MaxLength: 7, Field: "repository.two"},
		{Name: "three", Meaning: "the third"},
	}
	g.Expect(readmeTable(keys)).To(ContainSubstring("| `one` | the first | `a` |\n| `two` | the second | nothing |\n| `three` | the third | |\n"))
	g.Expect(policyLists(keys)).To(And(
		ContainSubstring(`"['one', 'two', 'three']"`), ContainSubstring(`"['two']"`),
		ContainSubstring(`"{'one': ['a', 'b']}"`), ContainSubstring(`"{'one': 2048, 'two': 7, 'three': 2048}"`),
	))
}
