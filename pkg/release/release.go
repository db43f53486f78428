// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package release knows which releases of Flux there are, and what each of them installs.
//
// A Catalogue takes a release from the first of its sources that has it: the releases that are embedded in this program,
// for which it needs no network; a directory that the operator mounts; an OCI repository with the layout of Flux's own;
// and a release server, which is Flux's at GitHub or a mirror with the same layout. What comes over the network is
// verified by its digest or by the checksums that the server publishes, bounded in size and time, and kept in memory.
package release

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
)

// The kinds of failure of a Catalogue, to be told apart with errors.Is, besides those of package fluxversion. The error itself is
// a sentence for the user.
var (
	// ErrServerUnreachable means that no source has the version and at least one gave no complete answer, or refused
	// to give one. It can pass by itself, or needs the operator.
	ErrServerUnreachable = errors.New("Flux release server unreachable")
	// ErrReleaseRefused means that what a source gave is not used: it has no or another checksum, is too big, or does
	// not hold what a Flux release holds.
	ErrReleaseRefused = errors.New("Flux release refused")
	// ErrPending means that the answer needs more time than a caller waits. It is still being worked on, and will be
	// there for a later caller.
	ErrPending = errors.New("Flux release pending")
)

// Source is a place that releases come from.
type Source interface {
	// Origin tells what kind of source it is.
	Origin() string
	// Location tells, without passwords, where the source looks for a version, or, with none, for which versions there are.
	Location(version string) string
	// Get returns the manifests of all components of a release, for namespace flux-system, and a reference that tells where exactly they come from. It tries once. The error
	// tells where it looked, and is of one of the kinds of package failure, unless the source can't be asked.
	Get(ctx context.Context, version string) (manifests []byte, reference string, err error)
	// Versions returns the tags of the releases that the source has, as far as it tells: a release server tells one, the latest.
	Versions(ctx context.Context) ([]string, error)
}

// Release is one release of Flux, rendered for installation. It is shared by everybody who asks for it: don't change it.
type Release struct {
	// Version is the release's tag, for example v2.9.4.
	Version string
	// Origin tells what kind of source the manifests came from.
	Origin string
	// Source tells where exactly that was: "embedded", a path relative to the directory, the reference of an OCI
	// artifact with its digest, or an URL. It holds no password.
	Source string
	// Digest identifies the content of Manifests: sha256: and 64 hexadecimal digits.
	Digest string
	// Manifests is what the command flux install --export prints for the default components in namespace flux-system:
	// a YAML stream with several documents.
	Manifests []byte

	// available are the manifests of all components that the release has, compressed: hardly anybody asks for others than the default ones.
	available  []byte
	components []string
}

// newRelease makes a release of the manifests of all of its components.
func newRelease(version, origin, source string, available []byte) (*Release, error) {
	manifests, err := export.Select(available, version, export.Options{})
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(manifests)
	release := &Release{Version: version, Origin: origin, Source: source, Digest: "sha256:" + hex.EncodeToString(digest[:]), Manifests: manifests}
	if release.components, err = export.Components(available); err != nil {
		return nil, err
	}
	if len(available) == len(manifests) {
		return release, nil
	}
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	if _, err := writer.Write(available); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	release.available = compressed.Bytes()
	return release, nil
}

// Components returns the components that the release has.
func (r *Release) Components() []string { return slices.Clone(r.components) }

// size is how many bytes it takes in memory.
func (r *Release) size() int64 { return int64(len(r.Manifests) + len(r.available)) }

// Install returns what the command flux install --export prints for the options. The error names the component that the release has not.
func (r *Release) Install(options export.Options) ([]byte, error) {
	if options.IsDefault() {
		return r.Manifests, nil
	}
	for _, component := range options.Components {
		if !slices.Contains(r.components, component) {
			return nil, fmt.Errorf("Flux %s (%s) has no component %s, but %s", r.Version, r.Origin, component, strings.Join(r.components, ", "))
		}
	}
	available := r.Manifests
	if r.available != nil {
		reader, err := gzip.NewReader(bytes.NewReader(r.available))
		if err != nil {
			return nil, err
		}
		if available, err = io.ReadAll(reader); err != nil {
			return nil, err
		}
	}
	manifests, err := export.Select(available, r.Version, options)
	if err != nil {
		return nil, fmt.Errorf("Flux %s (%s) can't be installed so: %w", r.Version, r.Origin, err)
	}
	return manifests, nil
}

// Stats tells what a Catalogue has done since it was made, and how much it holds.
type Stats struct {
	// Renders is how many releases were rendered by Kustomize.
	Renders int64
	// Downloads is how many releases were taken from the OCI repository or from the release server.
	Downloads int64
	// FailedDownloads is how many times one of the two gave no answer, or one that is not used. That a release does not
	// exist is an answer.
	FailedDownloads int64
	// LookUps is how many times it was asked which releases there are, over the network.
	LookUps int64
	// FailedLookUps is how many of them got no usable answer.
	FailedLookUps int64
	// Kept is how many releases are in memory.
	Kept int64
	// KeptBytes is the size of the manifests in memory, in bytes, as they are there.
	KeptBytes int64
}
