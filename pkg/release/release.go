// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
)

// Origin tells what kind of source the manifests of a release came from.
type Origin string

const (
	// OriginEmbedded is the origin of a release that is part of this program.
	OriginEmbedded Origin = "embedded"
	// OriginDirectory is the origin of a release from the directory that the operator mounts.
	OriginDirectory Origin = "directory"
	// OriginOCI is the origin of a release from the OCI repository that the operator names.
	OriginOCI Origin = "oci"
	// OriginDownloaded is the origin of a release that was downloaded from the release server and verified.
	OriginDownloaded Origin = "downloaded"
)

// Release is one release of Flux, rendered for installation. It is shared by everybody who asks for it: don't change it.
type Release struct {
	// Version is the release's tag, for example v2.9.4.
	Version string
	// Origin tells what kind of source the manifests came from.
	Origin Origin
	// Source tells where exactly that was: "embedded", a path relative to the directory, the reference of an OCI
	// artifact with its digest, or an URL. It holds no password.
	Source string
	// Digest identifies the content of Manifests: sha256: and 64 hexadecimal digits.
	Digest string
	// Manifests is what the command flux install --export prints for the default components in namespace flux-system:
	// a YAML stream with several documents.
	Manifests []byte

	// file is what a release from a directory was read from, to see whether it has changed since.
	file fs.FileInfo
}

func newRelease(version string, origin Origin, source string, manifests []byte) *Release {
	digest := sha256.Sum256(manifests)
	return &Release{Version: version, Origin: origin, Source: source, Digest: "sha256:" + hex.EncodeToString(digest[:]), Manifests: manifests}
}
