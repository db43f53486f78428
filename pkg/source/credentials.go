// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Credentials are what Flux reads a private repository with. However they are printed or logged, the
// private key is not shown.
type Credentials struct {
	// Identity is the private key in PEM form.
	Identity []byte
	// IdentityPub is the public key in the form of an authorized_keys file.
	IdentityPub []byte
	// KnownHosts are the known_hosts lines for the repository's host. Lines of other hosts are left out,
	// because Flux would offer the types of their keys to this host as well.
	KnownHosts []byte

	// Version is the VersionOf the Secret that holds them.
	Version string
	// Created tells that this call made the key pair.
	Created bool
	// HostKeys says which keys of the host are trusted, in the order of KnownHosts.
	HostKeys []HostKey
}

// HostKey is a key that the Git server may identify itself with.
type HostKey struct {
	// Type is the key's type, such as "ssh-ed25519".
	Type string `json:"type"`
	// Fingerprint is the key's SHA-256 fingerprint as ssh-keygen -l shows it.
	Fingerprint string `json:"fingerprint"`
	// Origin tells who said so.
	Origin HostKeyOrigin `json:"origin"`
}

// HostKeyOrigin is where a host key comes from.
type HostKeyOrigin string

const (
	// OriginConfigured is key knownHosts of the project's configuration.
	OriginConfigured HostKeyOrigin = "configured"
	// OriginSecret is key known_hosts of Secret flux-source: written by the admin, or found earlier.
	OriginSecret HostKeyOrigin = "secret"
	// OriginPublished is the list of the keys that well-known forges publish.
	OriginPublished HostKeyOrigin = "published"
	// OriginScanned is the host itself, asked for the first time.
	OriginScanned HostKeyOrigin = "scanned"
)

// PublicKey is the line to register at the Git server.
func (c Credentials) PublicKey() string { return strings.TrimSpace(string(c.IdentityPub)) }

// visible is what may be shown of Credentials.
type visible struct {
	PublicKey string    `json:"publicKey"`
	Created   bool      `json:"created"`
	HostKeys  []HostKey `json:"hostKeys"`
}

func (c Credentials) visible() visible {
	return visible{PublicKey: c.PublicKey(), Created: c.Created, HostKeys: c.HostKeys}
}

// String implements fmt.Stringer without the private key.
func (c Credentials) String() string { return fmt.Sprintf("%+v", c.visible()) }

// GoString implements fmt.GoStringer without the private key.
func (c Credentials) GoString() string { return fmt.Sprintf("%#v", c.visible()) }

// Format implements fmt.Formatter without the private key: for every verb.
func (c Credentials) Format(state fmt.State, verb rune) {
	if verb == 'v' && state.Flag('#') {
		_, _ = io.WriteString(state, c.GoString())
		return
	}
	_, _ = io.WriteString(state, c.String())
}

// MarshalJSON implements json.Marshaler without the private key.
func (c Credentials) MarshalJSON() ([]byte, error) { return json.Marshal(c.visible()) }

// LogValue implements slog.LogValuer without the private key.
func (c Credentials) LogValue() slog.Value { return slog.AnyValue(c.visible()) }

// MarshalLog implements logr.Marshaler without the private key.
func (c Credentials) MarshalLog() any { return c.visible() }
