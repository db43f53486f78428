// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestForRelease has for each kind the last release that does not know it, and the first one that does.
func TestForRelease(t *testing.T) {
	m := newMaterial(t)
	app := data("githubAppID", "1", "githubAppInstallationID", "2", "githubAppPrivateKey", m.appKey)
	const orPassword = ": set key fluxVersion of ConfigMap flux-config to a newer release, or write keys username and password"
	for name, tc := range map[string]struct {
		url         string
		data        map[string][]byte
		last, first string
		want        string
	}{
		"bearer token":               {gitURL, data("bearerToken", "t0ken"), "v0.38.3", "v0.39.0", "Flux knows key bearerToken since v0.39.0, and that of the shoot is v0.38.3" + orPassword},
		"GitHub App":                 {gitURL, app, "v2.4.0", "v2.5.0", "Flux knows GitHub Apps since v2.5.0, and that of the shoot is v2.4.0" + orPassword},
		"a release before a release": {gitURL, app, "v2.4.1-rc.1", "v2.5.0-rc.1", "Flux knows GitHub Apps since v2.5.0, and that of the shoot is v2.4.1-rc.1" + orPassword},
		"client certificate": {gitURL, data("tls.crt", m.cert, "tls.key", m.key), "v2.5.1", "v2.6.0",
			"Flux knows keys tls.crt and tls.key of Git since v2.6.0, and that of the shoot is v2.5.1: set key fluxVersion of ConfigMap flux-config to a newer release, or use SSH"},
		"GitHub App with CA": {gitURL, with(app, "ca.crt", m.ca), "v2.6.4", "v2.7.0",
			"Flux knows certificates beside a GitHub App since v2.7.0, and that of the shoot is v2.6.4: set key fluxVersion of ConfigMap flux-config to a newer release, or remove keys ca.crt, tls.crt, tls.key"},
		"GitHub App of an owner": {gitURL, data("githubAppID", "1", "githubAppInstallationOwner", "my-org", "githubAppPrivateKey", m.appKey), "v2.7.5", "v2.8.0",
			"Flux knows key githubAppInstallationOwner since v2.8.0, and that of the shoot is v2.7.5: set key fluxVersion of ConfigMap flux-config to a newer release, or write key githubAppInstallationID"},
		"username and password":   {gitURL, data("username", "ops", "password", "x"), "", "v0.24.1", ""},
		"user of a registry":      {ociURL, data("username", "ops", "password", "x"), "", "v0.32.0", ""},
		"certificates of clients": {ociURL, data("tls.crt", m.cert, "tls.key", m.key), "", "v0.32.0", ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			credentials, err := readFor(&corev1.Secret{Data: tc.data}, tc.url, nil)
			g.Expect(err).NotTo(HaveOccurred())
			credentials.namespace = "garden-shop"
			if tc.last != "" {
				_, err := credentials.ForRelease(tc.last, project.Origins(nil).Upgrade(false, ""))
				g.Expect(err).To(MatchError("secret garden-shop/flux-source in the garden: " + tc.want))
				_, err = credentials.ForRelease(tc.last, "upgrade Flux")
				g.Expect(err).To(MatchError(ContainSubstring(": upgrade Flux, or ")))
			}
			for _, release := range []string{tc.first, "v2.9.4", "v3.0.0", "", "of the users"} {
				_, err := credentials.ForRelease(release, "")
				g.Expect(err).NotTo(HaveOccurred(), release)
			}
		})
	}
	g := NewWithT(t)
	g.Expect((*Credentials)(nil).ForRelease("v2.9.4", "")).To(BeNil(), "a public repository")
}

// TestOldNames: releases before v2.1 know certificates by other names.
func TestOldNames(t *testing.T) {
	m := newMaterial(t)
	for name, tc := range map[string]struct {
		url      string
		data     map[string][]byte
		old, new []string
	}{
		"CA for Git":        {gitURL, data("username", "ops", "password", "x", "ca.crt", m.ca), []string{"caFile", "password", "username"}, []string{"ca.crt", "password", "username"}},
		"without CA":        {gitURL, data("username", "ops", "password", "x"), []string{"password", "username"}, []string{"password", "username"}},
		"all of a registry": {ociURL, data("ca.crt", m.ca, "tls.crt", m.cert, "tls.key", m.key), []string{"caFile", "certFile", "keyFile"}, []string{"ca.crt", "tls.crt", "tls.key"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			credentials, err := readFor(&corev1.Secret{Data: tc.data}, tc.url, nil)
			g.Expect(err).NotTo(HaveOccurred())
			keys := func(release string) []string {
				adapted, err := credentials.ForRelease(release, "")
				g.Expect(err).NotTo(HaveOccurred())
				return adapted.Secrets()[0].Data.Keys()
			}
			g.Expect(keys("v2.0.1")).To(Equal(tc.old))
			g.Expect(keys("v2.1.0")).To(Equal(tc.new))
			g.Expect(keys("v2.9.4")).To(Equal(tc.new), "what was read has not changed")
		})
	}
}
