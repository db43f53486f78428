// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

// newRepository makes a Git repository in an own directory, and goes there.
func newRepository(t *testing.T) {
	t.Helper()
	t.Chdir(t.TempDir())
	t.Setenv("GIT_CONFIG_GLOBAL", os.DevNull)
	mustGit(t, "init", "--quiet", "--initial-branch=main")
	mustGit(t, "config", "maintenance.auto", "false") // it would go on in the background, where the test removes the directory
	mustGit(t, "config", "user.name", "Somebody")
	mustGit(t, "config", "user.email", "somebody@example.org")
}

func mustGit(t *testing.T, args ...string) {
	t.Helper()
	_, err := git(t.Context(), args...)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
}

func mustCommit(t *testing.T, subject string) {
	t.Helper()
	mustGit(t, "commit", "--quiet", "--allow-empty", "--message="+subject)
}

func TestCommit(t *testing.T) {
	g := NewWithT(t)
	newRepository(t)
	t.Setenv("GIT_COMMITTER_DATE", "2026-11-29T10:00:00+01:00")
	mustCommit(t, "Begin")
	clean, err := readCommit(t.Context(), false)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(clean.revision).To(HaveLen(40))
	g.Expect(clean.created.Format("2006-01-02T15:04:05Z07:00")).To(Equal("2026-11-29T09:00:00Z"))

	g.Expect(os.WriteFile("file", nil, 0o600)).To(Succeed())
	_, err = readCommit(t.Context(), false)
	g.Expect(err).To(MatchError(And(ContainSubstring("commit or remove them"), ContainSubstring("?? file"))))
	dirty, err := readCommit(t.Context(), true)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(dirty.revision).To(Equal(clean.revision + "-dirty"))
}

func TestNoRepository(t *testing.T) {
	t.Chdir(t.TempDir())
	_, err := readCommit(t.Context(), false)
	NewWithT(t).Expect(err).To(MatchError(ContainSubstring("a release is made from a Git repository")))
}

func TestChanges(t *testing.T) {
	newRepository(t)
	mustCommit(t, "Begin")
	expectChanges(t, "v1.0.0", "")
	mustGit(t, "tag", "v1.0.0")
	// The tag may be set before or after the release is made.
	expectChanges(t, "v1.0.0", "")
	mustCommit(t, "Mend one thing")
	mustGit(t, "tag", "v1.0.1")
	mustGit(t, "tag", "vague")
	mustCommit(t, "Try another")
	mustGit(t, "tag", "v1.1.0-rc.1")
	mustCommit(t, "Mend another")
	expectChanges(t, "v1.1.0-rc.2", "v1.1.0-rc.1", "Mend another")
	expectChanges(t, "v1.1.0", "v1.0.1", "Mend another", "Try another")
}

func expectChanges(t *testing.T, version, previous string, changes ...string) {
	t.Helper()
	g := NewWithT(t)
	actual, subjects, err := readChanges(t.Context(), version)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(actual).To(Equal(previous))
	g.Expect(subjects).To(Equal(changes))
}

// TestLicences shows which licences are found in a module, and which of them count.
func TestLicences(t *testing.T) {
	g := NewWithT(t)
	apache, err := os.ReadFile("LICENSES/Apache-2.0.txt")
	g.Expect(err).NotTo(HaveOccurred())
	module := t.TempDir()
	inside := filepath.Join(module, "inside", "package")
	g.Expect(os.MkdirAll(inside, 0o755)).To(Succeed())
	for name, content := range map[string]string{
		"LICENSE":                 string(apache),
		"NOTICE":                  "Made by somebody.",
		"license.go":              "package module",
		"inside/COPYING.txt":      mit,
		"inside/package/main.go":  "package main",
		"inside/package/Licence2": "Do what you want.",
	} {
		g.Expect(os.WriteFile(filepath.Join(module, name), []byte(content), 0o600)).To(Succeed())
	}
	listed := listedPackage{Dir: inside, Module: &struct {
		Path, Version, Dir string
		Main               bool
	}{Path: "example.org/module", Version: "v1.0.0", Dir: module}}
	found := map[string]*dependency{}
	g.Expect(listed.addTo(found)).To(Succeed())
	g.Expect(found).To(HaveLen(1))
	dependency := found["example.org/module@v1.0.0"]
	dependency.recognise()
	g.Expect(dependency.licences).To(Equal([]string{"Apache-2.0", "MIT"}))
	g.Expect(dependency.texts).To(And(HaveLen(3), HaveKey("NOTICE"), HaveKey("inside/COPYING.txt")))
}

func TestLicenceThatIsNotAllowed(t *testing.T) {
	g := NewWithT(t)
	g.Expect(checkLicences([]dependency{{module: "example.org/a", licences: []string{"MIT", "Apache-2.0"}}})).To(Succeed())
	g.Expect(checkLicences([]dependency{
		{module: "example.org/a", version: "v1.0.0", licences: []string{"MIT", "AGPL-3.0"}},
		{module: "example.org/b", version: "v2.0.0"},
	})).To(MatchError(And(
		ContainSubstring("example.org/a v1.0.0: licence AGPL-3.0 is not among allowedLicences"),
		ContainSubstring("example.org/b v2.0.0: no licence was recognised"),
	)))
}

// What the SBOM says must not depend on how the tool was compiled.
func TestBillIsCompleted(t *testing.T) {
	g := NewWithT(t)
	content := []byte(`{"metadata": {"tools": [{"name": "tool", "hashes": [1]}]}, "components": [{"name": "example.org/a"}]}`)
	completed, err := completeSBOM(content, []dependency{{module: "example.org/a", licences: []string{"MIT"}}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(completed).To(MatchJSON(`{"metadata": {"tools": [{"name": "tool"}]}, "components": [{"name": "example.org/a", "licenses": [{"license": {"id": "MIT"}}]}]}`))
	_, err = completeSBOM(content, nil)
	g.Expect(err).To(MatchError(`the program has the module "example.org/a", whose licence is not known`))
}

const mit = `Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated documentation files (the
"Software"), to deal in the Software without restriction, including without limitation the rights to use, copy, modify, merge, publish,
distribute, sublicense, and/or sell copies of the Software, and to permit persons to whom the Software is furnished to do so, subject to the
following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF
MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY
CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE
SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
`
