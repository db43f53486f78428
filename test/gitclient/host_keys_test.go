// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitclient_test

import (
	"crypto/rand"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	ownknownhosts "github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

// TestHostKeys: the client trusts a server if and only if the extension says so, with the lines that the extension gives it. What the
// extension refuses is of no use to the client as it is written.
func TestHostKeys(t *testing.T) {
	server, other, second := newEd25519(t), newEd25519(t), newECDSA(t)
	key, otherKey, secondKey := public(server), public(other), public(second)
	for name, tc := range map[string]struct {
		knownHosts string
		// server has these keys.
		server []ssh.Signer
		// trusted is whether the client talks to the server.
		trusted bool
		// refused is whether the extension refuses what is written.
		refused bool
	}{
		"its key":                         {"git.example.org " + key, []ssh.Signer{server}, true, false},
		"with comment":                    {"git.example.org " + key + " ops since 2024", []ssh.Signer{server}, true, false},
		"capitals":                        {"Git.EXAMPLE.org " + key, []ssh.Signer{server}, true, false},
		"hashed":                          {knownhosts.HashHostname("git.example.org") + " " + key, []ssh.Signer{server}, true, false},
		"pattern":                         {"*.example.org,!x.example.org " + key, []ssh.Signer{server}, true, false},
		"another key":                     {"git.example.org " + otherKey, []ssh.Signer{server}, false, false},
		"another key is revoked":          {"@revoked * " + otherKey + "\ngit.example.org " + otherKey + "\ngit.example.org " + key, []ssh.Signer{server}, true, false},
		"one of two types is known":       {"git.example.org " + secondKey, []ssh.Signer{server, second}, true, false},
		"two types, one has changed":      {"git.example.org " + otherKey + "\ngit.example.org " + secondKey, []ssh.Signer{second}, true, false},
		"the same key twice":              {"git.example.org " + key + "\n*.example.org " + key, []ssh.Signer{server}, true, false},
		"old and new key, at the new one": {"git.example.org " + otherKey + "\ngit.example.org " + key, []ssh.Signer{server}, false, true},
		"new and old key, at the old one": {"git.example.org " + key + "\n*.example.org " + otherKey, []ssh.Signer{other}, false, true},
		"byte order mark":                 {"\ufeffgit.example.org " + key, []ssh.Signer{server}, false, true},
		"second key on a line":            {"git.example.org " + otherKey + " git.example.org " + key, []ssh.Signer{server}, false, true},
		"certificate authority":           {"@cert-authority git.example.org " + otherKey, []ssh.Signer{newCertificate(t, server, other)}, false, true},
		"cut key":                         {"git.example.org " + key[:50], []ssh.Signer{server}, false, true},
		"another port":                    {"[git.example.org]:2222 " + key, []ssh.Signer{server}, false, true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			const url = "ssh://git@git.example.org/owner/repo.git"
			internet := newInternet(t, tc.server...)
			configuration, err := project.Parse(&corev1.ConfigMap{Data: map[string]string{"repositoryUrl": url, "repositoryType": "private", "knownHosts": tc.knownHosts}})
			given := tc.knownHosts
			if tc.refused {
				g.Expect(err).To(HaveOccurred())
			} else {
				g.Expect(err).NotTo(HaveOccurred())
				lines, _ := ownknownhosts.Parse(configuration.Repository.KnownHosts)
				given = lines.For("git.example.org:22").String()
			}
			got, err := internet.clone(t, url, given)
			g.Expect(got.path != "").To(Equal(tc.trusted), "the client says %v", err)
			if !tc.trusted && !tc.refused {
				g.Expect(err).To(MatchError(Or(ContainSubstring("knownhosts: key mismatch"), ContainSubstring("knownhosts: key is unknown"))))
			}
			g.Expect(strings.Contains(given, "EXAMPLE")).To(BeFalse())
		})
	}
}

// newCertificate is what a server has whose key is signed by an authority.
func newCertificate(t *testing.T, key, authority ssh.Signer) ssh.Signer {
	t.Helper()
	g := NewWithT(t)
	certificate := &ssh.Certificate{Key: key.PublicKey(), CertType: ssh.HostCert, ValidPrincipals: []string{"git.example.org"}, ValidBefore: ssh.CertTimeInfinity}
	g.Expect(certificate.SignCert(rand.Reader, authority)).To(Succeed())
	signer, err := ssh.NewCertSigner(certificate, key)
	g.Expect(err).NotTo(HaveOccurred())
	return signer
}
