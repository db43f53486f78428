// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package fluxreleases has the manifests of past Flux releases that span the history of Flux's API, for tests and for
// the local landscape, where the releases themselves can't be downloaded: for example to upgrade from.
//
// It is test data. What the API server sees is real: the custom resource definitions are generated from the API modules
// of each release, with the program that the release used or one that gives the same, and RBAC, network policies,
// service accounts and patches are those of Flux's module of the release. What a node would run is not always: of some
// controllers, the Deployment and the Services are those of a neighbouring version, with the image of the release.
// releases.yaml says of which. So a container of such a Deployment can get arguments that its version does not know.
//
// The program hack/flux-manifests/past builds the data.
package fluxreleases

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/andybalholm/brotli"
	"golang.org/x/mod/semver"
)

//go:generate go run ../../hack/flux-manifests/past

// compressed is a brotli-compressed tar archive with the files of each release as <version>/<file>.
//
//go:embed releases.tar.br
var compressed []byte

// releases has the files of each release, by version and name. The archive is part of the program, so it can't be wrong
// in one run and right in the next.
var releases = sync.OnceValue(func() map[string]map[string][]byte {
	files, err := unpack(compressed)
	if err != nil {
		panic(fmt.Sprintf("reading the embedded past Flux releases: %v", err))
	}
	return files
})

// Versions returns the tags of the releases, such as v2.6.4, oldest first.
func Versions() []string {
	versions := slices.Collect(maps.Keys(releases()))
	semver.Sort(versions)
	return versions
}

// Files returns what is in the manifests.tar.gz of a release, by name: <controller>.yaml for each of the four default
// controllers, rbac.yaml and policies.yaml. It fails if the release is none of Versions.
func Files(version string) (map[string][]byte, error) {
	files, ok := releases()[version]
	if !ok {
		return nil, fmt.Errorf("no manifests of Flux release %q: there are %s", version, strings.Join(Versions(), ", "))
	}
	return maps.Clone(files), nil
}

// Tarball returns the manifests.tar.gz of a release, as Flux publishes it: the same bytes each time. It fails if the
// release is none of Versions.
func Tarball(version string) ([]byte, error) {
	files, err := Files(version)
	if err != nil {
		return nil, err
	}
	var buffer bytes.Buffer
	compressor := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(compressor)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		header := &tar.Header{Name: name, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatUSTAR}
		if err := archive.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := archive.Write(files[name]); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(archive.Close(), compressor.Close()); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

func unpack(compressed []byte) (map[string]map[string][]byte, error) {
	archive := tar.NewReader(brotli.NewReader(bytes.NewReader(compressed)))
	unpacked := map[string]map[string][]byte{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return unpacked, nil
		}
		if err != nil {
			return nil, err
		}
		version, name, _ := strings.Cut(header.Name, "/")
		if unpacked[version] == nil {
			unpacked[version] = map[string][]byte{}
		}
		if unpacked[version][name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}
