// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/andybalholm/brotli"
)

//go:generate go run ../../hack/flux-manifests

// embeddedArchive is a brotli-compressed tar archive with the files of each embedded release as <version>/<file>.
//
//go:embed embedded/releases.tar.br
var embeddedArchive []byte

// embeddedVersions returns the versions in the embedded archive, newest first.
func embeddedVersions() ([]string, error) {
	var versions []*semver.Version
	err := walkEmbedded(func(version, _ string, _ io.Reader) error {
		parsed, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
		if err != nil {
			return fmt.Errorf("%s: %w", version, err)
		}
		if !slices.ContainsFunc(versions, parsed.Equal) {
			versions = append(versions, parsed)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(versions) == 0 {
		return nil, errors.New("no Flux release is embedded")
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int { return b.Compare(a) })
	tags := make([]string, len(versions))
	for i, version := range versions {
		tags[i] = "v" + version.String()
	}
	return tags, nil
}

// embeddedFiles returns the files of an embedded release by name.
func embeddedFiles(wanted string) (map[string][]byte, error) {
	files := map[string][]byte{}
	err := walkEmbedded(func(version, name string, content io.Reader) (err error) {
		if version == wanted {
			files[name], err = io.ReadAll(content)
		}
		return err
	})
	return files, err
}

func walkEmbedded(visit func(version, name string, content io.Reader) error) error {
	archive := tar.NewReader(brotli.NewReader(bytes.NewReader(embeddedArchive)))
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the embedded Flux releases: %w", err)
		}
		version, name, _ := strings.Cut(header.Name, "/")
		if err := visit(version, name, archive); err != nil {
			return fmt.Errorf("reading the embedded Flux releases: %w", err)
		}
	}
}
