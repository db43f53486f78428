// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
)

// gitHubOwner is how users and organisations of GitHub are called, those that an enterprise manages included.
var gitHubOwner = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*$`)

// checkGitHubApp refuses what Flux can't get a token with (github.com/fluxcd/pkg/auth/githubapp).
func (d Data) checkGitHubApp() error {
	for _, key := range []string{KeyGitHubAppID, KeyGitHubAppPrivateKey} {
		if !d.has(key) {
			return fmt.Errorf("key %s is missing, which a GitHub App needs: add it", key)
		}
	}
	if d.has(KeyGitHubAppInstallationID) == d.has(KeyGitHubAppInstallationOwner) {
		return fmt.Errorf("of the keys %s and %s, a GitHub App needs one and not the other: the number of the installation, or the user or organisation where it is",
			KeyGitHubAppInstallationID, KeyGitHubAppInstallationOwner)
	}
	if err := d.checkText(KeyGitHubAppID, KeyGitHubAppInstallationID, KeyGitHubAppInstallationOwner, KeyGitHubAppBaseURL); err != nil {
		return err
	}
	for _, key := range []string{KeyGitHubAppID, KeyGitHubAppInstallationID} {
		if id, err := strconv.ParseInt(string(d[key]), 10, 64); d.has(key) && (err != nil || id <= 0) {
			return fmt.Errorf("key %s is not a number: write the one that GitHub shows (not the client ID)", key)
		}
	}
	if owner := d[KeyGitHubAppInstallationOwner]; len(owner) > 0 && !gitHubOwner.Match(owner) {
		return fmt.Errorf("key %s is not the name of a user or organisation of GitHub: write it as in the address of its page", KeyGitHubAppInstallationOwner)
	}
	if err := parseRSA(d[KeyGitHubAppPrivateKey]); err != nil {
		return fmt.Errorf("key %s is not an RSA private key in PEM form without passphrase: write the file that GitHub made for the App", KeyGitHubAppPrivateKey)
	}
	return d.checkBaseURL()
}

// parseRSA reads what github.com/golang-jwt/jwt reads for Flux. The error is not for people.
func parseRSA(key []byte) error {
	block, _ := pem.Decode(key)
	if block == nil {
		return errors.New("no PEM")
	}
	if _, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return err
	}
	if _, ok := parsed.(*rsa.PrivateKey); !ok {
		return errors.New("no RSA")
	}
	return nil
}

// checkBaseURL refuses an address to which Flux would send a token in the clear, or that holds another secret.
func (d Data) checkBaseURL() error {
	if !d.has(KeyGitHubAppBaseURL) {
		return nil
	}
	address, err := url.Parse(string(d[KeyGitHubAppBaseURL]))
	if err != nil || address.Scheme != "https" || address.Hostname() == "" || address.User != nil || address.RawQuery != "" || address.Fragment != "" {
		return fmt.Errorf(`key %s is not the address of an API: write it as "https://github.example.com/api/v3", or remove it for github.com`, KeyGitHubAppBaseURL)
	}
	return nil
}
