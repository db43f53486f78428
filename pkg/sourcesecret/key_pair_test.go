// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"bytes"
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
)

const (
	gitHub = "github.com:22"
	azure  = "ssh.dev.azure.com:22"
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
	made, madePub, err := newIdentity(gitHub)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	rsaKey, rsaPub, err := newIdentity(azure)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	admins, adminsPub := openSSHIdentity(t, "")
	encrypted, encryptedPub := openSSHIdentity(t, "open sesame")
	commented := []byte(strings.TrimSpace(string(adminsPub)) + " ops@example.org")
	// What is in it is not read: openssl pkcs8 -topk8 writes the same type.
	pkcs8 := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("open sesame")})
	content := strings.Split(string(admins), "\n")[1]

	for name, tc := range map[string]struct {
		identity, identityPub, want []byte
		hostPort, problem           string
	}{
		"made here":                           {identity: made, identityPub: madePub, want: madePub},
		"made by the admin":                   {identity: admins, identityPub: adminsPub, want: adminsPub},
		"public key with comment":             {identity: admins, identityPub: commented, want: adminsPub},
		"public key with options":             {identity: admins, identityPub: []byte("no-pty,command=\"cat " + content + "\" " + string(adminsPub)), want: adminsPub},
		"both halves":                         {identity: admins, identityPub: slices.Concat(admins, adminsPub), want: adminsPub},
		"two public keys":                     {identity: admins, identityPub: slices.Concat([]byte("# ours\n\n"), adminsPub, madePub), want: adminsPub},
		"public key is derived":               {identity: admins, want: adminsPub},
		"an RSA key for Azure DevOps":         {identity: rsaKey, hostPort: azure, want: rsaPub},
		"an RSA key for others":               {identity: rsaKey, want: rsaPub},
		"another key for Azure DevOps":        {identity: admins, hostPort: azure, problem: "key identity is of type ecdsa-sha2-nistp256, and ssh.dev.azure.com accepts RSA keys only: write one (ssh-keygen -t rsa -b 4096), or remove identity and identity.pub and such a pair is made"},
		"public key of another":               {identity: admins, identityPub: madePub, problem: "key identity.pub does not belong to key identity: remove the wrong one of the two; a missing identity.pub is derived from identity"},
		"public key is none":                  {identity: admins, identityPub: admins, problem: "key identity.pub is not an SSH public key: remove it, and it is derived from identity"},
		"private key is public key":           {identity: adminsPub, problem: "key identity is not an SSH private key: write one as ssh-keygen makes it, or remove identity and identity.pub and a new pair is made"},
		"private key is damaged":              {identity: admins[:len(admins)/2], problem: "key identity is not an SSH private key: write one as ssh-keygen makes it, or remove identity and identity.pub and a new pair is made"},
		"private key is encrypted as PKCS #8": {identity: pkcs8, problem: "key identity is encrypted with a passphrase: write the private key without passphrase (ssh-keygen -p removes it)"},
		"private key is PuTTY's":              {identity: []byte("PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\n"), problem: "key identity is in the form of PuTTY: write it in that of OpenSSH (puttygen -O private-openssh), without passphrase"},
		"private key is long":                 {identity: bytes.Repeat(admins, 100), problem: "key identity has more than 16384 bytes, and no SSH private key is that long: write one as ssh-keygen makes it"},
		"public key is long":                  {identity: admins, identityPub: bytes.Repeat(adminsPub, 200), problem: "key identity.pub is not an SSH public key: remove it, and it is derived from identity"},
		"private key is encrypted":            {identity: encrypted, identityPub: encryptedPub, problem: "key identity is encrypted with a passphrase: write the private key without passphrase (ssh-keygen -p removes it)"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			public, err := checkIdentity(tc.identity, tc.identityPub, cmp.Or(tc.hostPort, gitHub))
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

// TestPublicKey: nothing else of the Secret is published.
func TestPublicKey(t *testing.T) {
	identity, identityPub := openSSHIdentity(t, "")
	key := strings.TrimSpace(string(identityPub))
	for name, tc := range map[string]struct {
		identityPub []byte
		want        string
	}{
		"as ssh-keygen writes it": {[]byte(key + " ops@example.org\n"), key},
		"both halves":             {slices.Concat(identity, identityPub), key},
		"the private half":        {identity, ""},
		"something else":          {[]byte("hunter2"), ""},
		"nothing":                 {nil, ""},
		"very much":               {bytes.Repeat(identityPub, 200), ""},
	} {
		t.Run(name, func(t *testing.T) {
			secret := &corev1.Secret{Data: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: tc.identityPub}}
			NewWithT(t).Expect(PublicKey(secret)).To(Equal(tc.want))
		})
	}
}

func TestNewIdentity(t *testing.T) {
	for hostPort, keyType := range map[string]string{
		gitHub:                         ssh.KeyAlgoED25519,
		azure:                          ssh.KeyAlgoRSA,
		"vs-ssh.visualstudio.com:22":   ssh.KeyAlgoRSA,
		"git.dev.azure.example.com:22": ssh.KeyAlgoED25519,
		"":                             ssh.KeyAlgoED25519,
	} {
		t.Run(hostPort, func(t *testing.T) {
			g := NewWithT(t)
			identity, identityPub, err := newIdentity(hostPort)
			g.Expect(err).NotTo(HaveOccurred())
			signer, err := ssh.ParsePrivateKey(identity)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(signer.PublicKey().Type()).To(Equal(keyType))
			g.Expect(ssh.MarshalAuthorizedKey(signer.PublicKey())).To(Equal(identityPub))
			if public, ok := signer.PublicKey().(ssh.CryptoPublicKey).CryptoPublicKey().(*rsa.PublicKey); ok {
				g.Expect(public.N.BitLen()).To(Equal(3072))
			}

			other, _, err := newIdentity(hostPort)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(other).NotTo(Equal(identity))
		})
	}
}
