// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gomod

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/mod/module"
)

const fluxModule = "github.com/fluxcd/flux2/v2"

func TestSums(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "modules.sum")
	sums := Sums{
		{Path: "example.org/b", Version: "v1.0.0"}: "h1:bbb=",
		{Path: "example.org/a", Version: "v1.0.0"}: "h1:aaa=",
	}
	g.Expect(sums.Write(path)).To(Succeed())
	g.Expect(ReadSums(path)).To(Equal(sums))
	g.Expect(os.ReadFile(path)).To(BeEquivalentTo(sumsHeader + "example.org/a v1.0.0 h1:aaa=\nexample.org/b v1.0.0 h1:bbb=\n"))

	g.Expect(os.WriteFile(path, []byte("example.org/a v1.0.0\n"), 0o600)).To(Succeed())
	_, err := ReadSums(path)
	g.Expect(err).To(MatchError(ContainSubstring(`one is "example.org/a v1.0.0"`)))
}

// TestDirectory uses the module that the test itself is built with, so it is in the module cache.
func TestDirectory(t *testing.T) {
	g := NewWithT(t)
	version, err := RequiredVersion("../../../../go.mod", fluxModule)
	g.Expect(err).NotTo(HaveOccurred())
	flux := module.Version{Path: fluxModule, Version: version}

	source, err := NewSource("../../modules.sum")
	g.Expect(err).NotTo(HaveOccurred())
	dir, err := source.Directory(t.Context(), flux)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(dir, "manifests", "bases")).To(BeADirectory())
	sum := source.Pinned[flux]
	g.Expect(source.Used).To(Equal(Sums{flux: sum}))

	source.Pinned = Sums{flux: sum}
	g.Expect(source.CheckUsed()).To(Succeed())
	source.Pinned[module.Version{Path: "example.org/a", Version: "v1.0.0"}] = "h1:aaa="
	g.Expect(source.CheckUsed()).To(MatchError("example.org/a@v1.0.0 is pinned, but no release is made from it: unpin it with -pin"))

	_, err = (&Source{Used: Sums{}}).Directory(t.Context(), flux)
	g.Expect(err).To(MatchError(flux.String() + " has no pinned hash: pin it with -pin and review the change"))

	for _, pinNew := range []bool{false, true} {
		changed := &Source{Pinned: Sums{flux: "h1:other="}, PinNew: pinNew, Used: Sums{}}
		_, err = changed.Directory(t.Context(), flux)
		g.Expect(err).To(MatchError(flux.String() + " has the hash " + sum + ", but h1:other= is pinned"))
		g.Expect(changed.Used).To(BeEmpty())
	}

	pinning := &Source{PinNew: true, Used: Sums{}}
	_, err = pinning.Directory(t.Context(), flux)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pinning.Used).To(Equal(Sums{flux: sum}))

	_, err = pinning.Directory(t.Context(), module.Version{Path: fluxModule, Version: "not-a-version"})
	g.Expect(err).To(MatchError(HavePrefix("go mod download github.com/fluxcd/flux2/v2@not-a-version: ")))
}

func TestRoot(t *testing.T) {
	g := NewWithT(t)
	root, err := Root(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(root, "hack", "flux-manifests")).To(BeADirectory())

	t.Chdir(t.TempDir())
	_, err = Root(t.Context())
	g.Expect(err).To(MatchError(ContainSubstring("not inside the repository's Go module")))
}

func TestRequiredVersion(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "go.mod")
	g.Expect(os.WriteFile(path, []byte("module example.org/a\nrequire example.org/b v1.2.3\n"), 0o600)).To(Succeed())
	g.Expect(RequiredVersion(path, "example.org/b")).To(Equal("v1.2.3"))
	_, err := RequiredVersion(path, "example.org/c")
	g.Expect(err).To(MatchError(HaveSuffix("does not require example.org/c")))
}

func TestVersion(t *testing.T) {
	for version, path := range map[string]string{
		"v0.1.0":      "github.com/fluxcd/source-watcher",
		"v1.9.4":      "github.com/fluxcd/source-watcher",
		"v2.2.3":      "github.com/fluxcd/source-watcher/v2",
		"v2.0.0-rc.1": "github.com/fluxcd/source-watcher/v2",
	} {
		NewWithT(t).Expect(Version("fluxcd/source-watcher", version)).To(Equal(module.Version{Path: path, Version: version}))
	}
}
