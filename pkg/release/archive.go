// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// archive is the source of the releases that are embedded in this program.
type archive struct {
	// versions are the embedded versions, newest first.
	versions []string
	renderer *renderer
}

// knownEmbeddedVersions reads the archive only once.
var knownEmbeddedVersions = sync.OnceValues(embeddedVersions)

func newArchive(renderer *renderer) (*archive, error) {
	versions, err := knownEmbeddedVersions()
	return &archive{versions: versions, renderer: renderer}, err
}

func (a *archive) has(version string) bool {
	return slices.Contains(a.versions, version)
}

func (a *archive) where(string) string {
	return string(OriginEmbedded)
}

func (a *archive) get(_ context.Context, version string) (*Release, error) {
	if !a.has(version) {
		return nil, &notFoundError{errors.New("not embedded")}
	}
	files, err := embeddedFiles(version)
	if err != nil {
		return nil, err
	}
	manifests, err := a.renderer.render(version, files)
	if err != nil {
		return nil, err
	}
	return newRelease(version, OriginEmbedded, string(OriginEmbedded), manifests), nil
}
