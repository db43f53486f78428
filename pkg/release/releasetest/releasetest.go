// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package releasetest makes releases of Flux for tests, out of the newest one that is embedded.
package releasetest

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
)

// Files returns the files of the newest embedded release by name.
func Files(t testing.TB) map[string][]byte {
	t.Helper()
	files, err := newestFiles()
	if err != nil {
		t.Fatal(err)
	}
	return maps.Clone(files)
}

// newestFiles are unpacked once for all tests, which takes long with the race detector.
var newestFiles = sync.OnceValues(func() (files map[string][]byte, err error) {
	versions, err := embedded.Versions()
	if err != nil {
		return nil, err
	}
	_, _, err = embedded.New(func(_ string, found map[string][]byte) ([]byte, error) {
		files = found
		return nil, nil
	}).Get(context.Background(), versions[0])
	return files, err
})

// Everything is what Flux's own OCI artifacts have besides what is installed by default.
var Everything = flux.Components()[len(flux.DefaultComponents()):]

// Manifests returns a release as flux install --export prints it, with further components. It is rendered once for all tests, because
// kustomize takes seconds with the race detector.
func Manifests(t testing.TB, version string, extra []string) []byte {
	t.Helper()
	return Export(t, version, flux.Namespace, append(flux.DefaultComponents(), extra...))
}

// Export returns what flux install --export prints if it is told a namespace and components.
func Export(t testing.TB, version, namespace string, components []string) []byte {
	t.Helper()
	base := t.TempDir()
	once, _ := manifests.LoadOrStore(fmt.Sprint(version, namespace, components), sync.OnceValues(func() ([]byte, error) { return export(t, base, version, namespace, components) }))
	exported, err := once.(func() ([]byte, error))()
	if err != nil {
		t.Fatal(err)
	}
	return slices.Clone(exported)
}

var manifests sync.Map

func export(t testing.TB, base, version, namespace string, components []string) ([]byte, error) {
	for name, content := range Files(t) {
		if err := os.WriteFile(filepath.Join(base, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	options := install.MakeDefaultOptions()
	options.Version, options.Namespace, options.Components = version, namespace, components
	manifest, err := install.Generate(options, base)
	if err != nil {
		return nil, err
	}
	return []byte(manifest.Content), nil
}

// Entry is what becomes an entry of a tar archive.
type Entry struct {
	tar.Header
	Content string
}

// File is an entry of a plain file.
func File(name, content string) Entry {
	return Entry{tar.Header{Name: name, Typeflag: tar.TypeReg, Mode: 0o644, Size: int64(len(content))}, content}
}

// Special is an entry of something else, such as a link to a target.
func Special(name string, typeflag byte, target string) Entry {
	return Entry{Header: tar.Header{Name: name, Typeflag: typeflag, Linkname: target}}
}

// Zeros is a content that can be compressed well.
func Zeros(n int) string {
	return strings.Repeat("\x00", n)
}

// Tarball returns a .tar.gz.
func Tarball(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var buffer bytes.Buffer
	compressor, err := gzip.NewWriterLevel(&buffer, gzip.BestSpeed)
	if err != nil {
		t.Fatal(err)
	}
	archive := tar.NewWriter(compressor)
	for _, entry := range entries {
		if err := archive.WriteHeader(&entry.Header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write([]byte(entry.Content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressor.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}

// Entries are the files of the newest embedded release, as they are in its manifests.tar.gz.
func Entries(t testing.TB) []Entry {
	t.Helper()
	files := Files(t)
	var entries []Entry
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entries = append(entries, File(name, string(files[name])))
	}
	return entries
}
