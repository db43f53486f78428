// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

var today = time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)

// write writes files below a directory of their own.
func write(t *testing.T, files map[string]string) string {
	t.Helper()
	g := NewWithT(t)
	directory := t.TempDir()
	for name, content := range files {
		g.Expect(os.MkdirAll(filepath.Dir(filepath.Join(directory, name)), 0o755)).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(directory, name), []byte(content), 0o600)).To(Succeed())
	}
	return directory
}

// database is one that says that strings.Repeat is vulnerable, and that nobody knows a repair.
func database(t *testing.T) string {
	t.Helper()
	return write(t, map[string]string{
		"index/db.json":      `{"modified": "2026-11-29T00:00:00Z"}`,
		"index/modules.json": `[{"path": "stdlib", "vulns": [{"id": "GO-2026-9999", "modified": "2026-11-29T00:00:00Z"}]}]`,
		"index/vulns.json":   `[{"id": "GO-2026-9999", "modified": "2026-11-29T00:00:00Z"}]`,
		"ID/GO-2026-9999.json": `{"schema_version": "1.3.1", "id": "GO-2026-9999", "modified": "2026-11-29T00:00:00Z", "published": "2026-11-29T00:00:00Z",
		  "summary": "Repeats too often", "affected": [{"package": {"name": "stdlib", "ecosystem": "Go"},
		  "ranges": [{"type": "SEMVER", "events": [{"introduced": "0"}]}],
		  "ecosystem_specific": {"imports": [{"path": "strings", "symbols": ["Repeat"]}]}}]}`,
	})
}

// program is a module whose main function does what is given.
func program(t *testing.T, statement string) string {
	t.Helper()
	return write(t, map[string]string{
		"go.mod":  "module example.org/program\n\ngo 1.26\n",
		"main.go": "package main\n\nimport \"strings\"\n\nfunc main() { print(" + statement + ") }\n",
	})
}

// check checks a program against the database.
func check(t *testing.T, statement, known string) (string, error) {
	t.Helper()
	var out strings.Builder
	err := run(t.Context(), request{
		directory: program(t, statement), packages: "./...", database: "file://" + database(t), known: filepath.Join(write(t, map[string]string{"known.yaml": known}), "known.yaml"),
		toolModule: "../tools/release/go.mod", unreachable: "fail", today: today,
	}, &out)
	return out.String(), err
}

func TestCalledVulnerability(t *testing.T) {
	_, err := check(t, `strings.Repeat("a", 3)`, "[]")
	NewWithT(t).Expect(err).To(MatchError(MatchRegexp(`^GO-2026-9999: Repeats too often: the program calls strings\.Repeat of stdlib@v1\.\S+, which is fixed in no version yet$`)))
}

func TestVulnerabilityThatIsNotCalled(t *testing.T) {
	g := NewWithT(t)
	said, err := check(t, `strings.ToUpper("a")`, "[]")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(said).To(And(ContainSubstring("what is vulnerable in it is not called"), ContainSubstring("no vulnerability that is not accepted")))
}

func TestAcceptedVulnerability(t *testing.T) {
	g := NewWithT(t)
	said, err := check(t, `strings.Repeat("a", 3)`, "- id: GO-2026-9999\n  reason: it repeats three times\n  until: 2026-11-29\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(said).To(ContainSubstring("GO-2026-9999: accepted until 2026-11-29: it repeats three times"))

	_, err = check(t, `strings.Repeat("a", 3)`, "- id: GO-2026-9999\n  reason: it repeats three times\n  until: 2026-11-28\n")
	g.Expect(err).To(MatchError("GO-2026-9999: was accepted until 2026-11-28: look at it again: it repeats three times"))
}

func TestAcceptanceThatIsNotNeeded(t *testing.T) {
	g := NewWithT(t)
	said, err := check(t, `strings.ToUpper("a")`, "- id: GO-2026-0001\n  reason: it is not called\n  until: 2026-12-31\n")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(said).To(ContainSubstring("GO-2026-0001: is accepted, but not found any more"))
}

func TestIncompleteAcceptance(t *testing.T) {
	for name, known := range map[string]string{
		"no reason":     "- id: GO-2026-9999\n  until: 2026-11-29\n",
		"no day":        "- id: GO-2026-9999\n  reason: none\n",
		"unknown field": "- id: GO-2026-9999\n  because: none\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, err := check(t, `strings.ToUpper("a")`, known)
			NewWithT(t).Expect(err).To(MatchError(ContainSubstring("known.yaml: ")))
		})
	}
	_, err := readKnown("known.yaml")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
}

// A check that could not be made must not look like one that found nothing.
func TestUnreachableDatabase(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for name, database := range map[string]string{"no answer": "http://127.0.0.1:1", "not found": server.URL, "no directory": "file:///nowhere"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			var out strings.Builder
			asked := request{database: database, known: "known.yaml", unreachable: "fail"}
			g.Expect(run(t.Context(), asked, &out)).To(MatchError(HavePrefix("not checked: the database of vulnerabilities can't be reached: ")))
			asked.unreachable = "report"
			g.Expect(run(t.Context(), asked, &out)).To(Succeed())
			g.Expect(out.String()).To(HavePrefix("not checked: "))
		})
	}
}
