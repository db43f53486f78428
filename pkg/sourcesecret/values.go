// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	corev1 "k8s.io/api/core/v1"
)

// The keys of the Secret for HTTPS and OCI. They are those of Flux's sources, but for Docker's, which has none for OCI but this one.
const (
	// KeyUsername and KeyPassword are a user and what proves that it is the one: a password, or a token.
	KeyUsername = "username"
	KeyPassword = "password"
	// KeyBearerToken is a token that is sent as it is.
	KeyBearerToken = "bearerToken"

	// KeyGitHubAppID is the number of a GitHub App.
	KeyGitHubAppID = "githubAppID"
	// KeyGitHubAppInstallationID is the number of the place where the App is installed, and KeyGitHubAppInstallationOwner the user or
	// organisation.
	KeyGitHubAppInstallationID    = "githubAppInstallationID"
	KeyGitHubAppInstallationOwner = "githubAppInstallationOwner"
	// KeyGitHubAppPrivateKey is the App's RSA key.
	KeyGitHubAppPrivateKey = "githubAppPrivateKey"
	// KeyGitHubAppBaseURL is the address of the API, for a GitHub that is not github.com.
	KeyGitHubAppBaseURL = "githubAppBaseURL"

	// KeyCACert has the certificates of who is trusted besides those that everybody trusts.
	KeyCACert = "ca.crt"
	// KeyTLSCert and KeyTLSKey are the client's certificate and its key.
	KeyTLSCert = corev1.TLSCertKey
	KeyTLSKey  = corev1.TLSPrivateKeyKey

	// KeyDockerConfig is what docker login writes.
	KeyDockerConfig = corev1.DockerConfigJsonKey
)

var (
	basicAuthKeys   = []string{KeyUsername, KeyPassword}
	gitHubAppKeys   = []string{KeyGitHubAppID, KeyGitHubAppInstallationID, KeyGitHubAppInstallationOwner, KeyGitHubAppPrivateKey, KeyGitHubAppBaseURL}
	certificateKeys = []string{KeyCACert, KeyTLSCert, KeyTLSKey}
	// gitKeys and registryKeys are those that count for Git over HTTPS, and for OCI. What counts for another URL only may stand beside
	// them: a shoot can have another repository than its project.
	gitKeys      = slices.Concat(basicAuthKeys, []string{KeyBearerToken}, gitHubAppKeys, certificateKeys)
	registryKeys = slices.Concat([]string{KeyDockerConfig}, basicAuthKeys, certificateKeys)
)

// maxLengths of values in bytes. What all keys hold together has room in a Secret, and in that of a ManagedResource.
var maxLengths = map[string]int{
	KeyUsername:                   1 << 10,
	KeyPassword:                   16 << 10,
	KeyBearerToken:                16 << 10,
	KeyGitHubAppID:                20,
	KeyGitHubAppInstallationID:    20,
	KeyGitHubAppInstallationOwner: 100,
	KeyGitHubAppPrivateKey:        maxKeyLength,
	KeyGitHubAppBaseURL:           2 << 10,
	KeyCACert:                     64 << 10,
	KeyTLSCert:                    64 << 10,
	KeyTLSKey:                     maxKeyLength,
	KeyDockerConfig:               64 << 10,
}

// otherNames are what people call keys that Flux knows by another name, and what to write.
var otherNames = map[string]string{
	"caFile":   KeyCACert,
	"certFile": KeyTLSCert,
	"keyFile":  KeyTLSKey,
	"user":     KeyUsername,
	"token":    KeyBearerToken + ", or " + KeyPassword + " beside " + KeyUsername,
}

// choose gives what a Secret holds under some keys.
func choose(data map[string][]byte, keys []string) (Data, error) {
	chosen := Data{}
	for _, key := range keys {
		value, found := data[key]
		switch {
		case !found:
			continue
		case len(value) == 0:
			return nil, fmt.Errorf("key %s is empty: write its value, or remove the key", key)
		case len(value) > maxLengths[key]:
			return nil, fmt.Errorf("key %s has more than %d bytes: write what belongs there", key, maxLengths[key])
		}
		chosen[key] = value
	}
	return chosen, nil
}

// hintAt says which keys of a Secret probably have another name, or "".
func hintAt(data map[string][]byte) string {
	for _, name := range []string{"caFile", "certFile", "keyFile", "user", "token"} {
		if len(data[name]) > 0 {
			return fmt.Sprintf("key %s is called %s", name, otherNames[name])
		}
	}
	return ""
}

// checkText refuses what comes with a value when it is copied, and what can't be sent.
func (d Data) checkText(keys ...string) error {
	for _, key := range keys {
		value := string(d[key])
		switch {
		case strings.TrimRight(value, "\r\n") != value:
			return fmt.Errorf("key %s ends with a line break: write it without one (printf %%s, or --from-literal of kubectl)", key)
		case strings.TrimSpace(value) != value:
			return fmt.Errorf("key %s begins or ends with a space: write it without", key)
		case !utf8.ValidString(value), strings.ContainsFunc(value, unicode.IsControl):
			return fmt.Errorf("key %s has a line break or another invisible character in it: write it again", key)
		}
	}
	return nil
}

// hasAny tells whether one of the keys is there.
func (d Data) hasAny(keys ...string) bool {
	return slices.ContainsFunc(keys, d.has)
}

func (d Data) has(key string) bool { return len(d[key]) > 0 }

// only gives what stands under some of the keys.
func (d Data) only(keys ...string) Data {
	chosen := Data{}
	for _, key := range keys {
		if d.has(key) {
			chosen[key] = d[key]
		}
	}
	return chosen
}
