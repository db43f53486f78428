// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	corev1 "k8s.io/api/core/v1"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// readGit takes the credentials for Git over HTTPS from a Secret. What Flux makes of them is in NewAuthOptions of
// github.com/fluxcd/pkg/git and AuthMethodsFromSecret of github.com/fluxcd/pkg/runtime/secrets, which test/gitclient compares with.
func readGit(secret *corev1.Secret) (*Credentials, error) {
	data, err := choose(secret.Data, gitKeys)
	if err != nil {
		return nil, err
	}
	if err := data.checkTogether(); err != nil {
		return nil, err
	}
	credentials := &Credentials{SecretRef: &ShootSecret{Name: SecretName, Type: corev1.SecretTypeOpaque, Data: data}}
	switch {
	case data.hasAny(gitHubAppKeys...):
		credentials.Kind, credentials.Provider = KindGitHubApp, sourcev1.GitProviderGitHub
		err = data.checkGitHubApp()
	case data.has(KeyBearerToken):
		credentials.Kind = KindBearerToken
		err = data.checkBearerToken()
	case data.hasAny(basicAuthKeys...):
		credentials.Kind = KindBasicAuth
		err = data.checkBasicAuth()
	case data.hasAny(certificateKeys...):
		credentials.Kind = KindCertificates
	default:
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	return credentials, data.checkCertificates()
}

// errNothing means that a Secret holds nothing of what could be used.
var errNothing = errors.New("none of the keys is there")

// checkTogether refuses more than one proof: Flux would take one of them, and nobody knows which one is meant.
func (d Data) checkTogether() error {
	var found []string
	for _, keys := range [][]string{basicAuthKeys, {KeyBearerToken}, gitHubAppKeys} {
		if there := d.only(keys...).Keys(); len(there) > 0 {
			found = append(found, strings.Join(there, ", "))
		}
	}
	if len(found) > 1 {
		return fmt.Errorf("it holds %s, and only one of them can be used: remove the keys of the others", strings.Join(found, " as well as "))
	}
	return nil
}

func (d Data) checkBasicAuth() error {
	switch {
	case !d.has(KeyPassword):
		return fmt.Errorf("key %s is there, but not %s: add it, which can be a token", KeyUsername, KeyPassword)
	case !d.has(KeyUsername):
		return fmt.Errorf("key %s is there, but not %s: add it (for a token, many servers take any name)", KeyPassword, KeyUsername)
	}
	if strings.Contains(string(d[KeyUsername]), ":") {
		// RFC 7617.
		return fmt.Errorf("key %s has a colon, behind which the password would begin: write the name alone", KeyUsername)
	}
	return d.checkText(basicAuthKeys...)
}

func (d Data) checkBearerToken() error {
	if err := d.checkText(KeyBearerToken); err != nil {
		return err
	}
	token := string(d[KeyBearerToken])
	if strings.HasPrefix(strings.ToLower(token), "bearer ") {
		return fmt.Errorf("key %s begins with the word Bearer: write the token alone", KeyBearerToken)
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r > unicode.MaxASCII || unicode.IsSpace(r) }) {
		return fmt.Errorf("key %s has a space or a letter that no token has: write the token alone", KeyBearerToken)
	}
	return nil
}
