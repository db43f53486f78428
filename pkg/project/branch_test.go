// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"os/exec"
	"testing"

	. "github.com/onsi/gomega"
)

// TestBranch also asks Git itself, so that the table can't be wrong about Git's rules.
func TestBranch(t *testing.T) {
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal("git is needed: its check-ref-format is the rule that is tested")
	}
	for branch, want := range map[string]string{
		"main":            "",
		"release/v1.2":    "",
		"feature/#12_ü@x": "",
		"a@b":             "",
		"-":               `a branch must not start with "-"`,
		"--upload-pack=x": `a branch must not start with "-"`,
		"HEAD":            "Git does not accept this name: write the name of a branch",
		"main.":           `a branch must not end with "."`,
		"a..b":            `a branch must not contain ".."`,
		"a@{1}":           `a branch must not contain "@{"`,
		"my branch":       `a branch must not contain " "`,
		"a~1":             `a branch must not contain "~"`,
		"a^":              `a branch must not contain "^"`,
		"a:b":             `a branch must not contain ":"`,
		"a?":              `a branch must not contain "?"`,
		"release/*":       `a branch must not contain "*"`,
		"a[1]":            `a branch must not contain "["`,
		`a\b`:             `a branch must not contain "\"`,
		"/main":           `a branch must not start or end with "/", nor contain "//"`,
		"main/":           `a branch must not start or end with "/", nor contain "//"`,
		"a//b":            `a branch must not start or end with "/", nor contain "//"`,
		".main":           `no part of a branch may start with "."`,
		"a/.b":            `no part of a branch may start with "."`,
		"main.lock":       `no part of a branch may end with ".lock"`,
		"a.lock/b":        `no part of a branch may end with ".lock"`,
	} {
		t.Run(branch, func(t *testing.T) {
			g := NewWithT(t)
			_, err := parse(map[string]string{"repositoryUrl": "https://example.org/repo", "repositoryBranch": branch})
			output, gitErr := exec.Command(git, "check-ref-format", "--branch", branch).CombinedOutput()
			if want == "" {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(gitErr).NotTo(HaveOccurred(), string(output))
				return
			}
			g.Expect(err).To(MatchError(HaveSuffix(": " + want)))
			g.Expect(gitErr).To(HaveOccurred(), string(output))
		})
	}
}

// TestBranchStricterThanGit has names that Git accepts but that are not what the author meant.
func TestBranchStricterThanGit(t *testing.T) {
	for branch, want := range map[string]string{
		"refs/heads/main": `repositoryBranch: Invalid value: "refs/heads/main": write the branch without "refs/heads/"`,
		"@":               `repositoryBranch: Invalid value: "@": Git does not accept this name: write the name of a branch`,
	} {
		t.Run(branch, func(t *testing.T) {
			g := NewWithT(t)
			_, err := parse(map[string]string{"repositoryUrl": "https://example.org/repo", "repositoryBranch": branch})
			g.Expect(err).To(MatchError(want))
		})
	}
}
