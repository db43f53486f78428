// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// Kind is how Flux proves that it may read the repository.
type Kind string

const (
	// KindSSH is a key pair: for Git over SSH.
	KindSSH Kind = "SSH"
	// KindBasicAuth is a user's name and a password, or a token in place of it: for Git over HTTPS.
	KindBasicAuth Kind = "BasicAuth"
	// KindBearerToken is a token that is sent as it is: for Git over HTTPS.
	KindBearerToken Kind = "BearerToken"
	// KindGitHubApp is the key of a GitHub App, which Flux gets short-lived tokens with: for Git over HTTPS.
	KindGitHubApp Kind = "GitHubApp"
	// KindRegistry is what container runtimes pull images with: for OCI.
	KindRegistry Kind = "Registry"
	// KindCertificates is nothing but certificates: whom to trust, or who the client is.
	KindCertificates Kind = "Certificates"
)

// Credentials are what Flux reads a private repository with. However they are printed or logged, no secret is shown.
type Credentials struct {
	// Kind is what they are.
	Kind Kind
	// SecretRef is the Secret that field secretRef of the source names, or nil if it names none.
	SecretRef *ShootSecret
	// CertSecretRef is the Secret that field certSecretRef of an OCIRepository names, or nil if it names none. A GitRepository has its
	// certificates in SecretRef.
	CertSecretRef *ShootSecret
	// Provider is field provider of a GitRepository, or "" for Flux's default.
	Provider string

	// Version is the VersionOf the Secret that holds them.
	Version string
	// Created tells that this call made the key pair.
	Created bool
	// HostKeys says which keys of the host are trusted, in the order of key known_hosts of SecretRef.
	HostKeys []HostKey

	// namespace is the project's.
	namespace string
	// salt is what only those know who may read the Secret in the garden. It is the same on all seeds.
	salt string
}

// ShootSecret is a Secret of the shoot, in the namespace of the source.
type ShootSecret struct {
	// Name follows from Type, which a Secret can't change.
	Name string
	// Type is the Secret's type.
	Type corev1.SecretType
	// Data is what it holds.
	Data Data
}

// Names of Secrets in a shoot. A Secret has the same type as long as it exists: one of another type has another name, so that the new one
// is there before the old one goes, and Flux always finds the one that its source names.
const (
	// registrySecretName is that of type kubernetes.io/dockerconfigjson.
	registrySecretName = SecretName + "-registry"
)

// ShootSecretNames are all names that Secrets of credentials have in shoots.
func ShootSecretNames() []string { return []string{SecretName, registrySecretName} }

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
	// OriginConfigured is field knownHosts of some layer of the configuration. It holds for the shoots that it is written for, and is not
	// kept in Secret flux-source.
	OriginConfigured HostKeyOrigin = "configured"
	// OriginSecret is key known_hosts of Secret flux-source: written by the admin, or found earlier.
	OriginSecret HostKeyOrigin = "secret"
	// OriginPublished is the list of the keys that well-known forges publish.
	OriginPublished HostKeyOrigin = "published"
	// OriginScanned is the host itself, asked for the first time.
	OriginScanned HostKeyOrigin = "scanned"
)

// Secrets returns all Secrets that the shoot gets.
func (c *Credentials) Secrets() []*ShootSecret {
	return slices.DeleteFunc([]*ShootSecret{c.SecretRef, c.CertSecretRef}, func(secret *ShootSecret) bool { return secret == nil })
}

// PublicKey is the line to register at the Git server, or "" if there is no key pair.
func (c Credentials) PublicKey() string {
	if c.SecretRef == nil {
		return ""
	}
	return strings.TrimSpace(string(c.SecretRef.Data[KeyIdentityPub]))
}

// visible is what may be shown of Credentials.
type visible struct {
	Kind      Kind      `json:"kind"`
	Keys      []string  `json:"keys"`
	PublicKey string    `json:"publicKey,omitempty"`
	Created   bool      `json:"created"`
	HostKeys  []HostKey `json:"hostKeys,omitempty"`
}

func (c Credentials) visible() visible {
	shown := visible{Kind: c.Kind, PublicKey: c.PublicKey(), Created: c.Created, HostKeys: c.HostKeys}
	for _, secret := range c.Secrets() {
		shown.Keys = append(shown.Keys, secret.Data.Keys()...)
	}
	return shown
}

// String implements fmt.Stringer without secrets.
func (c Credentials) String() string { return fmt.Sprintf("%+v", c.visible()) }

// GoString implements fmt.GoStringer without secrets.
func (c Credentials) GoString() string { return fmt.Sprintf("%#v", c.visible()) }

// Format implements fmt.Formatter without secrets: for every verb.
func (c Credentials) Format(state fmt.State, verb rune) { format(state, verb, c) }

// MarshalJSON implements json.Marshaler without secrets.
func (c Credentials) MarshalJSON() ([]byte, error) { return json.Marshal(c.visible()) }

// LogValue implements slog.LogValuer without secrets.
func (c Credentials) LogValue() slog.Value { return slog.AnyValue(c.visible()) }

// MarshalLog implements logr.Marshaler without secrets.
func (c Credentials) MarshalLog() any { return c.visible() }

// format prints in the same form for every verb.
func format(state fmt.State, verb rune, value interface {
	fmt.Stringer
	fmt.GoStringer
}) {
	if verb == 'v' && state.Flag('#') {
		_, _ = io.WriteString(state, value.GoString())
		return
	}
	_, _ = io.WriteString(state, value.String())
}
