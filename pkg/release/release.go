// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

// Origin tells where the manifests of a release came from.
type Origin string

const (
	// OriginEmbedded is the origin of a release that is part of this program.
	OriginEmbedded Origin = "embedded"
	// OriginDownloaded is the origin of a release that was downloaded from the release server and verified.
	OriginDownloaded Origin = "downloaded"
)

// Release is one release of Flux, rendered for installation. It is shared by everybody who asks for it: don't change it.
type Release struct {
	// Version is the release's tag, for example v2.9.4.
	Version string
	// Origin tells where the manifests came from.
	Origin Origin
	// Digest identifies the content of Manifests: sha256: and 64 hexadecimal digits.
	Digest string
	// Manifests is what the command flux install --export prints for the default components in namespace flux-system:
	// a YAML stream with several documents.
	Manifests []byte
}

// Resolved is the answer of a Catalogue to a request.
type Resolved struct {
	*Release
	// Warning is empty, or a sentence for the user that says why this is not quite what was asked for.
	Warning string
}
