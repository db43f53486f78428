// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

// writeRelease puts a release into a directory, and returns the path of its file.
func writeRelease(t testing.TB, dir, version string, manifests []byte) string {
	t.Helper()
	g := NewWithT(t)
	path := filepath.Join(dir, version, export.File)
	g.Expect(os.MkdirAll(filepath.Dir(path), 0o700)).To(Succeed())
	g.Expect(os.WriteFile(path, manifests, 0o600)).To(Succeed())
	return path
}

func TestDirectory(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	dir := t.TempDir()
	path := writeRelease(t, dir, testVersion, releasetest.Manifests(t, testVersion, releasetest.Everything))
	catalogue := server.catalogue(t, Options{Directory: dir})

	first, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(first).To(And(HaveField("Version", testVersion), HaveField("Origin", "directory"), HaveField("Source", "v2.9.99/gotk-components.yaml")))
	g.Expect(string(first.Manifests)).To(Equal(string(releasetest.Manifests(t, testVersion, nil))))
	again, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeIdenticalTo(first), "what has not changed is not read again")

	changed := strings.ReplaceAll(string(first.Manifests), "ghcr.io/fluxcd/", "registry.example.org/")
	writeRelease(t, dir, testVersion, []byte(changed))
	g.Expect(os.Chtimes(path, time.Time{}, time.Now().Add(time.Minute))).To(Succeed())
	second, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(second.Manifests)).To(Equal(changed))
	g.Expect(second.Digest).NotTo(Equal(first.Digest))
	g.Expect(catalogue.Stats().KeptBytes).To(BeEquivalentTo(len(changed)))
	g.Expect(server.seen()).To(BeEmpty())

	g.Expect(os.Remove(path)).To(Succeed())
	third, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(third.Origin).To(Equal("downloaded"), "the next source is asked")
}

func TestDirectoryFailures(t *testing.T) {
	elsewhere := writeRelease(t, t.TempDir(), testVersion, releasetest.Manifests(t, testVersion, nil))
	for name, test := range map[string]struct {
		prepare  func(g Gomega, dir, path string)
		kind     error
		sentence string
	}{
		"missing": {
			func(Gomega, string, string) {},
			fluxversion.ErrVersionNotFound, "Flux version v2.9.99 does not exist (there is no FILE; SERVER/download/v2.9.99/flux_2.9.99_checksums.txt answered 404 Not Found), ",
		},
		"not a release": {
			func(g Gomega, _, path string) { g.Expect(os.WriteFile(path, []byte("a: 1"), 0o600)).To(Succeed()) },
			ErrReleaseRefused, "Flux version v2.9.99 is refused: FILE: its manifests have no ",
		},
		"too big": {
			func(g Gomega, _, path string) {
				g.Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
				g.Expect(os.Truncate(path, 1<<40)).To(Succeed())
			},
			ErrReleaseRefused, "Flux version v2.9.99 is refused: FILE: it is bigger than 4194304 bytes; ",
		},
		"a directory": {
			func(g Gomega, _, path string) { g.Expect(os.Mkdir(path, 0o700)).To(Succeed()) },
			ErrReleaseRefused, "Flux version v2.9.99 is refused: FILE: it is not a plain file; ",
		},
		"a pipe": {
			func(g Gomega, _, path string) { g.Expect(syscall.Mkfifo(path, 0o600)).To(Succeed()) },
			ErrReleaseRefused, "Flux version v2.9.99 is refused: FILE: it is not a plain file; ",
		},
		"link out of it": {
			func(g Gomega, _, path string) { g.Expect(os.Symlink(elsewhere, path)).To(Succeed()) },
			ErrServerUnreachable, "Flux version v2.9.99 can't be downloaded: FILE: openat v2.9.99/gotk-components.yaml: path escapes from parent; ",
		},
		"version that leads out of it": {
			func(g Gomega, _, path string) {
				g.Expect(os.Remove(filepath.Dir(path))).To(Succeed())
				g.Expect(os.Symlink(filepath.Dir(elsewhere), filepath.Dir(path))).To(Succeed())
			},
			ErrServerUnreachable, "Flux version v2.9.99 can't be downloaded: FILE: openat v2.9.99/gotk-components.yaml: path escapes from parent; ",
		},
		"no longer there": {
			func(g Gomega, dir, _ string) { g.Expect(os.RemoveAll(dir)).To(Succeed()) },
			fluxversion.ErrVersionNotFound, "Flux version v2.9.99 does not exist (there is no FILE; ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).Start)
			server.answer(checksumsPath, code(404))
			dir := t.TempDir()
			path := filepath.Join(dir, testVersion, export.File)
			g.Expect(os.Mkdir(filepath.Dir(path), 0o700)).To(Succeed())
			catalogue := server.catalogue(t, Options{Directory: dir})
			test.prepare(g, dir, path)

			_, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).To(MatchError(test.kind))
			g.Expect(err).To(MatchError(HavePrefix(strings.ReplaceAll(server.fill(test.sentence), "FILE", path))))
			g.Expect(server.seen()).NotTo(BeEmpty(), "the next source is asked too")
		})
	}
}

func TestDirectoryThatIsNone(t *testing.T) {
	g := NewWithT(t)
	missing := filepath.Join(t.TempDir(), "missing")
	_, err := NewCatalogue(Options{Directory: missing})
	g.Expect(err).To(MatchError("the directory of Flux releases can't be used: stat " + missing + ": no such file or directory"))

	path := filepath.Join(t.TempDir(), "file")
	g.Expect(os.WriteFile(path, nil, 0o600)).To(Succeed())
	_, err = NewCatalogue(Options{Directory: path})
	g.Expect(err).To(MatchError("the directory of Flux releases can't be used: " + path + " is not a directory"))
}
