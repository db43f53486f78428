// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package embedded is the source of the releases that are part of this program. They need no network.
package embedded

import (
	"archive/tar"
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"github.com/Masterminds/semver/v3"
	"github.com/andybalholm/brotli"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

//go:generate go run ../../../hack/flux-manifests

// Origin is what a release is said to come from.
const Origin = "embedded"

// archive is a brotli-compressed tar archive with the files of each release as <version>/<file>.
//
//go:embed releases.tar.br
var archive []byte

// Versions returns the tags of the embedded releases, newest first. It reads the archive only once.
var Versions = sync.OnceValues(readVersions)

// Source is the source of the embedded releases.
type Source struct {
	render func(tag string, files map[string][]byte) ([]byte, error)
}

// New returns a source that renders the files of a release with a function such as export.Render.
func New(render func(tag string, files map[string][]byte) ([]byte, error)) *Source {
	return &Source{render: render}
}

// Origin returns Origin.
func (s *Source) Origin() string { return Origin }

// Location tells where the releases are.
func (s *Source) Location(string) string { return Origin }

// Versions returns the tags of the embedded releases, newest first.
func (s *Source) Versions(context.Context) ([]string, error) {
	return Versions()
}

// Get renders the manifests of a release.
func (s *Source) Get(_ context.Context, tag string) (manifests []byte, reference string, err error) {
	files := map[string][]byte{}
	err = walk(func(release, name string, content io.Reader) (err error) {
		if release == tag {
			files[name], err = io.ReadAll(content)
		}
		return err
	})
	if err != nil {
		return nil, "", err
	}
	if len(files) == 0 {
		return nil, "", failure.New(failure.ErrNotFound, "not embedded")
	}
	manifests, err = s.render(tag, files)
	return manifests, Origin, err
}

func readVersions() ([]string, error) {
	var tags []string
	err := walk(func(release, _ string, _ io.Reader) error {
		if !slices.Contains(tags, release) {
			tags = append(tags, release)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	versions := version.ParseTags(tags)
	if len(versions) == 0 || len(versions) < len(tags) {
		return nil, fmt.Errorf("the embedded Flux releases must have versions, but are %q", tags)
	}
	slices.SortFunc(versions, func(a, b *semver.Version) int { return b.Compare(a) })
	for i, parsed := range versions {
		tags[i] = version.Tag(parsed)
	}
	return tags, nil
}

func walk(visit func(release, name string, content io.Reader) error) error {
	files := tar.NewReader(brotli.NewReader(bytes.NewReader(archive)))
	for {
		header, err := files.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the embedded Flux releases: %w", err)
		}
		release, name, _ := strings.Cut(header.Name, "/")
		if err := visit(release, name, files); err != nil {
			return fmt.Errorf("reading the embedded Flux releases: %w", err)
		}
	}
}
