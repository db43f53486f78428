// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
)

// openSSHIdentity is a key pair as ssh-keygen makes it, encrypted if there is a passphrase.
func openSSHIdentity(t *testing.T, passphrase string) (identity, identityPub []byte) {
	t.Helper()
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	var block *pem.Block
	if passphrase == "" {
		block, err = ssh.MarshalPrivateKey(key, "ops")
	} else {
		block, err = ssh.MarshalPrivateKeyWithPassphrase(key, "ops", []byte(passphrase))
	}
	g.Expect(err).NotTo(HaveOccurred())
	public, err := ssh.NewPublicKey(key.Public())
	g.Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(public)
}

func TestCheckIdentity(t *testing.T) {
	made, madePub, err := newIdentity()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	admins, adminsPub := openSSHIdentity(t, "")
	encrypted, encryptedPub := openSSHIdentity(t, "open sesame")
	commented := []byte(strings.TrimSpace(string(adminsPub)) + " ops@example.org")
	content := strings.Split(string(admins), "\n")[1]

	for name, tc := range map[string]struct {
		identity, identityPub, want []byte
		problem                     string
	}{
		"made here":                 {identity: made, identityPub: madePub, want: madePub},
		"made by the admin":         {identity: admins, identityPub: adminsPub, want: adminsPub},
		"public key with comment":   {identity: admins, identityPub: commented, want: commented},
		"public key is derived":     {identity: admins, want: adminsPub},
		"public key of another":     {identity: admins, identityPub: madePub, problem: "key identity.pub does not belong to key identity: remove the wrong one of the two; a missing identity.pub is derived from identity"},
		"public key is none":        {identity: admins, identityPub: admins, problem: "key identity.pub is not an SSH public key: remove it, and it is derived from identity"},
		"private key is public key": {identity: adminsPub, problem: "key identity is not an SSH private key: write one as ssh-keygen makes it, or remove identity and identity.pub and a new pair is made"},
		"private key is damaged":    {identity: admins[:len(admins)/2], problem: "key identity is not an SSH private key: write one as ssh-keygen makes it, or remove identity and identity.pub and a new pair is made"},
		"private key is encrypted":  {identity: encrypted, identityPub: encryptedPub, problem: "key identity is encrypted with a passphrase: write the private key without passphrase (ssh-keygen -p removes it)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			public, err := checkIdentity(tc.identity, tc.identityPub)
			if tc.problem == "" {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(public).To(Equal(tc.want))
				return
			}
			g.Expect(err).To(MatchError(tc.problem))
			g.Expect(err.Error()).NotTo(ContainSubstring(content))
		})
	}
}

func TestNewIdentity(t *testing.T) {
	g := NewWithT(t)
	identity, identityPub, err := newIdentity()
	g.Expect(err).NotTo(HaveOccurred())
	signer, err := ssh.ParsePrivateKey(identity)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(signer.PublicKey().Type()).To(Equal(ssh.KeyAlgoED25519))
	g.Expect(ssh.MarshalAuthorizedKey(signer.PublicKey())).To(Equal(identityPub))

	other, _, err := newIdentity()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(other).NotTo(Equal(identity))
}
