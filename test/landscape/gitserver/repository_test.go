// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
)

func TestCommitArrives(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())
	dir, err := alice.clone(sshURL(t, repository))
	g.Expect(err).NotTo(HaveOccurred())

	sha, err := repository.Commit(t.Context(), "main", "Change much", map[string]string{
		"apps/base/shop/configmap.yaml": "changed: true\n",
		"docs/deep/new.md":              "new",
		"README.md":                     "",
	})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(repository.Head(t.Context(), "main")).To(Equal(sha))

	_, err = alice.git("-C", dir, "pull", "--quiet", "--ff-only")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alice.git("-C", dir, "log", "-1", "--format=%H %an <%ae> %s")).To(Equal(sha + " Landscape <landscape@example.org> Change much\n"))
	g.Expect(os.ReadFile(filepath.Join(dir, "apps/base/shop/configmap.yaml"))).To(BeEquivalentTo("changed: true\n"))
	g.Expect(os.ReadFile(filepath.Join(dir, "docs/deep/new.md"))).To(BeEquivalentTo("new"))
	g.Expect(filepath.Join(dir, "README.md")).NotTo(BeAnExistingFile())
	g.Expect(filepath.Join(dir, "kustomization.yaml")).To(BeAnExistingFile())
	g.Expect(alice.git("-C", dir, "fsck", "--strict")).NotTo(ContainSubstring("error"))
}

func TestCommitToANewBranch(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	before, err := repository.Head(t.Context(), "main")
	g.Expect(err).NotTo(HaveOccurred())
	_, err = repository.Head(t.Context(), "release")
	g.Expect(err).To(MatchError(fs.ErrNotExist))

	sha, err := repository.Commit(t.Context(), "release/1.0", "Release", map[string]string{"VERSION": "1.0"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(repository.Head(t.Context(), "release/1.0")).To(Equal(sha))
	g.Expect(repository.Head(t.Context(), "main")).To(Equal(before))
	_, err = repository.Head(t.Context(), "release")
	g.Expect(err).To(MatchError(fs.ErrNotExist), "not the branches below it")
	alice := newPerson(t, server)
	g.Expect(alice.git("ls-remote", httpURL(t, repository))).To(ContainSubstring(sha + "\trefs/heads/release/1.0"))
}

func TestCommitRefuses(t *testing.T) {
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	readme, err := fs.ReadFile(Content(), "README.md")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct{ branch, path, text, want string }{
		"a bad branch":       {"a..b", "new.txt", "new", `"a..b" is not a branch name`},
		"a path upwards":     {"main", "../new.txt", "new", `"../new.txt" is not a path of a file in a repository`},
		"an absolute path":   {"main", "/new.txt", "new", `"/new.txt" is not a path of a file in a repository`},
		"Git's own files":    {"main", ".git/config", "new", `".git/config" is not a path of a file in a repository`},
		"no change":          {"main", "README.md", string(readme), "the files are already as they should become: nothing to commit"},
		"removal of nothing": {"main", "nothing.txt", "", "nothing to commit"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before, err := repository.Head(t.Context(), "main")
			g.Expect(err).NotTo(HaveOccurred())
			_, err = repository.Commit(t.Context(), test.branch, "change", map[string]string{test.path: test.text})
			g.Expect(err).To(MatchError(And(
				ContainSubstring("committing to branch "+test.branch+" of repository team/fleet: "), ContainSubstring(test.want))))
			g.Expect(repository.Head(t.Context(), "main")).To(Equal(before))
		})
	}
}

func TestConcurrentCommitsLoseNothing(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	var wait sync.WaitGroup
	for _, name := range []string{"a", "b", "c", "d"} {
		wait.Go(func() {
			g.Eventually(func() error {
				_, err := repository.Commit(t.Context(), "main", "Add "+name, map[string]string{name: name})
				return err
			}, timeout).Should(Succeed())
		})
	}
	wait.Wait()
	dir, err := newPerson(t, server).clone(httpURL(t, repository))
	g.Expect(err).NotTo(HaveOccurred())
	for _, name := range []string{"a", "b", "c", "d"} {
		g.Expect(filepath.Join(dir, name)).To(BeAnExistingFile())
	}
}

func TestCreateRepositoryOnce(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet.git", false)
	g.Expect(repository.Name()).To(Equal("team/fleet"))
	_, err := server.CreateRepository(t.Context(), "team/fleet", true)
	g.Expect(err).To(And(MatchError(fs.ErrExist), MatchError(ContainSubstring("repository team/fleet: "))))
	g.Expect(repository.Public()).To(BeFalse())
	entries, err := os.ReadDir(server.path("repositories"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(entries).To(HaveLen(1), "nothing half made is left")

	_, err = server.Repository("team/nothing")
	g.Expect(err).To(MatchError(fs.ErrNotExist))
}

func TestRepositoryNames(t *testing.T) {
	for _, name := range []string{"a/b", "Team-1/fleet_2.x", "a/b.git", "a.b/c.d"} {
		_, err := parseName(name)
		NewWithT(t).Expect(err).NotTo(HaveOccurred(), name)
	}
	for _, name := range []string{
		"", "a", "a/b/c", "/a/b", "a/", "/b", "../b", "a/..", "a/.git", "a/.b", ".a/b", "a/b.", "a..b/c", "-a/b", "~a/b", "a/b c", "a/b\n", "a/b'", "a.git/b", "a/b.git.git",
		"a/" + strings.Repeat("../", 3) + "b",
	} {
		_, err := parseName(name)
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("is not the name of a repository: write owner/name")), name)
	}
}
