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

func TestList(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "releases.txt")
	g.Expect(os.WriteFile(path, []byte("# comment\nv2.10.0\n\n v2.9.4 \nv2.9.4\n"), 0o600)).To(Succeed())
	versions, err := readList(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(versions).To(Equal([]string{"v2.9.4", "v2.10.0"}))

	g.Expect(writeList(path, versions)).To(Succeed())
	g.Expect(os.ReadFile(path)).To(BeEquivalentTo(listHeader + "v2.9.4\nv2.10.0\n"))
	g.Expect(readList(path)).To(Equal(versions))

	g.Expect(os.WriteFile(path, []byte("v2.9.4 # good\n"), 0o600)).To(Succeed())
	_, err = readList(path)
	g.Expect(err).To(MatchError(path + `: "v2.9.4 # good" is not the tag of a release of Flux 2: write it as v2.9.4`))
}

func TestAddRelease(t *testing.T) {
	g := NewWithT(t)
	versions := []string{"v2.9.2", "v2.9.4"}
	g.Expect(addRelease(versions, "v2.9.3")).To(Equal([]string{"v2.9.2", "v2.9.3", "v2.9.4"}))
	g.Expect(addRelease(versions, "v2.10.0")).To(Equal([]string{"v2.9.2", "v2.9.4", "v2.10.0"}))
	g.Expect(addRelease(versions, "v2.9.4")).To(Equal(versions))
	g.Expect(versions).To(Equal([]string{"v2.9.2", "v2.9.4"}))

	for _, tag := range []string{"", "latest", "2.9.4", "v2.9", "v2.9.4-rc.1", "v2.9.4+build", "v2.09.4", "v2.9.4/..", "v0.41.2", "v3.0.0", "main"} {
		_, err := addRelease(versions, tag)
		g.Expect(err).To(MatchError(ContainSubstring("is not the tag of a release of Flux 2: write it as v2.9.4")), tag)
	}
}

// TestReleases also says what make embed-release is for: a new version in go.mod.
func TestReleases(t *testing.T) {
	g := NewWithT(t)
	root := t.TempDir()
	g.Expect(os.MkdirAll(filepath.Join(root, filepath.Dir(releasesFile)), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(root, "go.mod"), []byte("module example.org/a\nrequire "+fluxModule+" v2.9.5\n"), 0o600)).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(root, releasesFile), []byte("v2.9.4\n"), 0o600)).To(Succeed())

	_, err := releases(root, "")
	g.Expect(err).To(MatchError("hack/flux-manifests/releases.txt lacks v2.9.5, which go.mod requires: run make embed-release RELEASE=v2.9.5"))
	g.Expect(releases(root, "v2.9.5")).To(Equal([]string{"v2.9.4", "v2.9.5"}))
	_, err = releases(root, "v2")
	g.Expect(err).To(MatchError(HavePrefix(`"v2" is not the tag of a release`)))
}
