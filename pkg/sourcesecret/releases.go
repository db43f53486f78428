// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"fmt"
	"maps"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// needs are what not every release of Flux can, and since when (CHANGELOG.md of source-controller, whose minor releases are those of Flux).
var needs = []struct {
	// what it is called in the sentence.
	what  string
	since *semver.Version
	// instead is what else there is.
	instead string
	has     func(*Credentials) bool
}{
	{
		// source-controller v0.34.0
		what: "key " + KeyBearerToken, since: minor(0, 39), instead: "write keys " + KeyUsername + " and " + KeyPassword,
		has: func(c *Credentials) bool { return c.Kind == KindBearerToken },
	},
	{
		// source-controller v1.5.0
		what: "GitHub Apps", since: minor(2, 5), instead: "write keys " + KeyUsername + " and " + KeyPassword,
		has: func(c *Credentials) bool { return c.Kind == KindGitHubApp },
	},
	{
		// source-controller v1.6.0. An OCIRepository could before.
		what: "keys " + KeyTLSCert + " and " + KeyTLSKey + " of Git", since: minor(2, 6), instead: "use SSH",
		has: func(c *Credentials) bool { return c.Kind != KindSSH && c.isGit() && c.SecretRef.Data.has(KeyTLSCert) },
	},
	{
		// source-controller v1.7.0
		what: "certificates beside a GitHub App", since: minor(2, 7), instead: "remove keys " + strings.Join(certificateKeys, ", "),
		has: func(c *Credentials) bool {
			return c.Kind == KindGitHubApp && c.SecretRef.Data.hasAny(certificateKeys...)
		},
	},
	{
		// source-controller v1.8.0
		what: "key " + KeyGitHubAppInstallationOwner, since: minor(2, 8), instead: "write key " + KeyGitHubAppInstallationID,
		has: func(c *Credentials) bool {
			return c.Kind == KindGitHubApp && c.SecretRef.Data.has(KeyGitHubAppInstallationOwner)
		},
	},
}

// newNames is the release that knows certificates by the keys that the Secret in the garden has (source-controller v1.1.0). Older ones
// have names of their own.
var newNames = minor(2, 1)

// oldNames are those that releases before newNames know. The client's own certificate is for OCI only.
var oldNames = map[string]string{KeyCACert: "caFile", KeyTLSCert: "certFile", KeyTLSKey: "keyFile"}

func minor(major, minor uint64) *semver.Version { return semver.New(major, minor, 0, "", "") }

func (c *Credentials) isGit() bool { return c.SecretRef != nil && c.Kind != KindRegistry }

// ForRelease gives the credentials in the form that a release of Flux, such as "v2.9.4", reads them. The error says which release is
// needed, and with upgrade how the shoot gets it. Of a release that is not known, nothing is; it counts as the newest.
func (c *Credentials) ForRelease(fluxVersion, upgrade string) (*Credentials, error) {
	release := releaseOf(fluxVersion)
	if c == nil || release == nil {
		return c, nil
	}
	for _, need := range needs {
		if release.LessThan(need.since) && need.has(c) {
			return nil, describeSecret(c.namespace, fmt.Errorf(
				"Flux knows %s since %s, and that of the shoot is %s: %s, or %s",
				need.what, version.Tag(need.since), fluxVersion, upgrade, need.instead))
		}
	}
	if release.LessThan(newNames) {
		return c.withOldNames(), nil
	}
	return c, nil
}

// releaseOf is the release that a version is of or leads to, or nil if it is not known.
func releaseOf(fluxVersion string) *semver.Version {
	parsed, err := version.Parse(fluxVersion)
	if err != nil {
		return nil
	}
	return semver.New(parsed.Major(), parsed.Minor(), parsed.Patch(), "", "")
}

// withOldNames gives the certificates the names that old releases know.
func (c *Credentials) withOldNames() *Credentials {
	renamed := *c
	for _, reference := range []**ShootSecret{&renamed.SecretRef, &renamed.CertSecretRef} {
		if *reference == nil || !(*reference).Data.hasAny(certificateKeys...) {
			continue
		}
		secret := **reference
		secret.Data = maps.Clone(secret.Data)
		for key, old := range oldNames {
			if secret.Data.has(key) {
				secret.Data[old] = secret.Data[key]
				delete(secret.Data, key)
			}
		}
		*reference = &secret
	}
	return &renamed
}
