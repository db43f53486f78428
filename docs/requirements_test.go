// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package docs_test

import (
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/mod/modfile"
)

// program is the directory of the package that is the extension.
const program = "cmd/gardener-extension-shoot-flux"

// TestRequirements shows that the first block of go.mod has the modules that the program imports, and no others.
func TestRequirements(t *testing.T) {
	g := NewWithT(t)
	content, err := fs.ReadFile(root, "go.mod")
	g.Expect(err).NotTo(HaveOccurred())
	file, err := modfile.Parse("go.mod", content, nil)
	g.Expect(err).NotTo(HaveOccurred())
	imported := map[string]bool{}
	for importPath := range importedByProgram(t) {
		if required := moduleOf(file, importPath); required != "" {
			imported[required] = true
		}
	}
	g.Expect(firstRequirements(file)).To(ConsistOf(slices.Collect(maps.Keys(imported))),
		"move the lines in go.mod: its first block has what the program imports, its second one what only tests, the landscape and hack/ do")
}

// importedByProgram are the import paths in the files of the program, and of all packages of this module that it is made of.
func importedByProgram(t *testing.T) map[string]bool {
	t.Helper()
	found := map[string]bool{}
	for left := []string{program}; len(left) > 0; {
		dir := left[0]
		left = left[1:]
		for _, importPath := range importPathsOf(t, dir) {
			if own, isOwn := strings.CutPrefix(importPath, module); isOwn && !found[importPath] {
				left = append(left, own)
			}
			found[importPath] = true
		}
	}
	return found
}

// moduleOf is the required module that has a package. It is empty for a package of Go or of this module.
func moduleOf(file *modfile.File, importPath string) string {
	longest := ""
	for _, required := range file.Require {
		if name := required.Mod.Path; strings.HasPrefix(importPath+"/", name+"/") && len(name) > len(longest) {
			longest = name
		}
	}
	return longest
}

// firstRequirements are the modules in the first block of requirements.
func firstRequirements(file *modfile.File) []string {
	for _, statement := range file.Syntax.Stmt {
		if first, ok := statement.(*modfile.LineBlock); ok && first.Token[0] == "require" {
			var modules []string
			for _, line := range first.Line {
				modules = append(modules, line.Token[0])
			}
			return modules
		}
	}
	return nil
}
