// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/mod/module"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

func TestArchive(t *testing.T) {
	g := NewWithT(t)
	releases := map[string]map[string][]byte{
		"v2.9.4": {"rbac.yaml": []byte("a"), "policies.yaml": []byte("b")},
		"v2.8.8": {"rbac.yaml": []byte("c")},
	}
	archive, err := packArchive(releases)
	g.Expect(err).NotTo(HaveOccurred())
	for range 20 { // the order of a map is random
		again, err := packArchive(releases)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(Equal(archive))
	}

	path := filepath.Join(t.TempDir(), "new", "releases.tar.br")
	g.Expect(writeArchive(path, archive)).To(Succeed())
	g.Expect(readArchive(path)).To(Equal(archive))
	g.Expect(os.ReadFile(path + ".license")).To(BeEquivalentTo(licence))
}

func TestCheckCurrent(t *testing.T) {
	archive, err := packArchive(map[string]map[string][]byte{"v2.9.4": {"rbac.yaml": []byte("a")}})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())

	for name, test := range map[string]struct {
		change  func(path string) error
		problem string
	}{
		"current":          {change: func(string) error { return nil }},
		"other content":    {func(path string) error { return writeArchive(path, []byte("other")) }, "is not what Flux v2.9.4 of go.mod gives"},
		"not compressed":   {func(path string) error { return os.WriteFile(path, archive, 0o600) }, "decompressing"},
		"missing":          {os.Remove, "no such file or directory"},
		"licence missing":  {func(path string) error { return os.Remove(path + ".license") }, "has no licence file"},
		"licence modified": {func(path string) error { return os.WriteFile(path+".license", nil, 0o600) }, "is not what Flux v2.9.4 of go.mod gives"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			path := filepath.Join(t.TempDir(), "releases.tar.br")
			g.Expect(writeArchive(path, archive)).To(Succeed())
			g.Expect(test.change(path)).To(Succeed())

			err := checkCurrent(path, "v2.9.4", archive)
			if test.problem == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(And(ContainSubstring(test.problem), HaveSuffix(": run make generate"))))
		})
	}
}

func TestSums(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "modules.sum")
	sums := pinnedSums{
		{Path: "example.org/b", Version: "v1.0.0"}: "h1:bbb=",
		{Path: "example.org/a", Version: "v1.0.0"}: "h1:aaa=",
	}
	g.Expect(writeSums(path, sums)).To(Succeed())
	g.Expect(readSums(path)).To(Equal(sums))
	g.Expect(os.ReadFile(path)).To(BeEquivalentTo(sumsHeader + "example.org/a v1.0.0 h1:aaa=\nexample.org/b v1.0.0 h1:bbb=\n"))

	g.Expect(os.WriteFile(path, []byte("example.org/a v1.0.0\n"), 0o600)).To(Succeed())
	_, err := readSums(path)
	g.Expect(err).To(MatchError(ContainSubstring(`one is "example.org/a v1.0.0"`)))
}

// TestModuleDirectory uses the module that the test itself is built with, so it is in the module cache.
func TestModuleDirectory(t *testing.T) {
	g := NewWithT(t)
	version, err := requiredVersion("../../go.mod", fluxModule)
	g.Expect(err).NotTo(HaveOccurred())
	flux := module.Version{Path: fluxModule, Version: version}
	sums, err := readSums("modules.sum")
	g.Expect(err).NotTo(HaveOccurred())

	dir, err := (&moduleSource{sums: sums}).directory(t.Context(), flux)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(dir, "manifests", "bases")).To(BeADirectory())

	_, err = (&moduleSource{sums: pinnedSums{flux: "h1:other="}}).directory(t.Context(), flux)
	g.Expect(err).To(MatchError(And(ContainSubstring("has the hash "+sums[flux]), HaveSuffix("modules.sum says h1:other="))))

	_, err = (&moduleSource{sums: pinnedSums{}}).directory(t.Context(), flux)
	g.Expect(err).To(MatchError(ContainSubstring("has no hash in hack/flux-manifests/modules.sum")))

	pinning := &moduleSource{sums: pinnedSums{}, pin: true}
	_, err = pinning.directory(t.Context(), flux)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pinning.sums).To(Equal(pinnedSums{flux: sums[flux]}))

	_, err = pinning.directory(t.Context(), module.Version{Path: fluxModule, Version: "not-a-version"})
	g.Expect(err).To(MatchError(HavePrefix("go mod download github.com/fluxcd/flux2/v2@not-a-version: ")))
}

func TestRequiredVersion(t *testing.T) {
	g := NewWithT(t)
	path := filepath.Join(t.TempDir(), "go.mod")
	g.Expect(os.WriteFile(path, []byte("module example.org/a\nrequire example.org/b v1.2.3\n"), 0o600)).To(Succeed())
	g.Expect(requiredVersion(path, "example.org/b")).To(Equal("v1.2.3"))
	_, err := requiredVersion(path, "example.org/c")
	g.Expect(err).To(MatchError(HaveSuffix("does not require example.org/c")))
}

func TestControllerModule(t *testing.T) {
	for version, path := range map[string]string{
		"v0.1.0":      "github.com/fluxcd/source-watcher",
		"v1.9.4":      "github.com/fluxcd/source-watcher",
		"v2.2.3":      "github.com/fluxcd/source-watcher/v2",
		"v3.0.0-rc.1": "github.com/fluxcd/source-watcher/v3",
	} {
		NewWithT(t).Expect(controllerModule("fluxcd/source-watcher", version)).To(Equal(module.Version{Path: path, Version: version}))
	}
}

func TestResourceFromElsewhereIsRefused(t *testing.T) {
	for _, resource := range []string{
		"https://example.org/source-controller.yaml",
		"https://github.com/fluxcd/source-controller/releases/download/v1.9.4/source-controller.other.yaml",
		"https://github.com/fluxcd/source-controller/archive/main.tar.gz",
		"ssh://git@example.org/repository",
	} {
		t.Run(resource, func(t *testing.T) {
			g := NewWithT(t)
			work := filesys.MakeFsInMemory()
			g.Expect(work.WriteFile("base/kustomization.yaml", []byte("resources:\n- "+resource+"\n"))).To(Succeed())
			err := localise(t.Context(), &moduleSource{}, work, "base")
			g.Expect(err).To(MatchError("don't know which Go module " + resource + " comes from"))
		})
	}
}
