// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"crypto/sha256"
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
)

// TestRequestFollowsEverything: each change of what the shoot gets makes Flux look at once.
func TestRequestFollowsEverything(t *testing.T) {
	m := newMaterial(t)
	request := func(url, salt string, data map[string][]byte) string {
		credentials, err := readFor(&corev1.Secret{Data: data}, url, nil)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		credentials.salt = salt
		return credentials.Request()
	}
	g := NewWithT(t)
	user := data("username", "ops", "password", "hunter2")
	seen := map[string]string{}
	for name, made := range map[string]string{
		"user":                     request(gitURL, "uid", user),
		"another password":         request(gitURL, "uid", with(user, "password", "hunter3")),
		"another user":             request(gitURL, "uid", with(user, "username", "dev")),
		"where one ends":           request(gitURL, "uid", data("username", "opsh", "password", "unter2")),
		"CA":                       request(gitURL, "uid", with(user, "ca.crt", m.ca)),
		"client certificate":       request(gitURL, "uid", with(user, "tls.crt", m.cert, "tls.key", m.key)),
		"token":                    request(gitURL, "uid", data("bearerToken", "hunter2")),
		"registry":                 request(ociURL, "uid", user),
		"registry and certificate": request(ociURL, "uid", with(user, "tls.crt", m.cert, "tls.key", m.key)),
		"a Secret made anew":       request(gitURL, "uid-2", user),
	} {
		g.Expect(made).To(MatchRegexp("^credentials-[0-9a-f]{16}$"))
		g.Expect(seen).NotTo(HaveKey(made), name)
		seen[made] = name
	}
	g.Expect(request(gitURL, "uid", with(user, "note", "not for the shoot"))).To(Equal(request(gitURL, "uid", user)), "the same on all seeds")
}

// TestRequestOfAKeyPairStays: a new release of the extension must not make all shoots ask their Git servers.
func TestRequestOfAKeyPairStays(t *testing.T) {
	credentials := &Credentials{Kind: KindSSH, salt: "any", SecretRef: &ShootSecret{Data: Data{
		KeyIdentity: []byte("private"), KeyIdentityPub: []byte("ssh-ed25519 AAAA\n"), KeyKnownHosts: []byte("git.example.com ssh-ed25519 AAAA\n"),
	}}}
	sum := sha256.Sum256([]byte("17\nssh-ed25519 AAAA\n\n33\ngit.example.com ssh-ed25519 AAAA\n\n"))
	NewWithT(t).Expect(credentials.Request()).To(Equal(fmt.Sprintf("credentials-%x", sum[:8])))
}
