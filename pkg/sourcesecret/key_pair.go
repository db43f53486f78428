// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
)

// maxKeyLength in bytes is room for an RSA key of 16384 bits, the longest that golang.org/x/crypto/ssh reads.
const maxKeyLength = 16 << 10

// rsaBits is the length of an RSA key that counts as strong as an Ed25519 key (NIST SP 800-57). Twice as long takes ten times the time to make.
const rsaBits = 3072

// PublicKey gives the public key that key identity.pub of a Secret holds, as type and base64. What else stands there, such as a
// comment, an option, another key or the private one, is left out. It is "" if there is no public key.
func PublicKey(secret *corev1.Secret) string {
	public, err := parsePublicKey(secret.Data[KeyIdentityPub])
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

func parsePublicKey(identityPub []byte) (ssh.PublicKey, error) {
	if len(identityPub) > maxKeyLength {
		return nil, fmt.Errorf("it has more than %d bytes", maxKeyLength)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(identityPub)
	return public, err
}

// checkIdentity checks the key pair of a Secret for the Git server at hostPort and gives the public key, which is derived from the private
// one if the Secret has none. Of what the Secret holds, it gives only what is the public key. No error repeats what a key holds.
func checkIdentity(identity, identityPub []byte, hostPort string) ([]byte, error) {
	signer, err := parsePrivateKey(identity)
	if err != nil {
		return nil, err
	}
	if keyType := signer.PublicKey().Type(); wantsRSA(hostPort) && keyType != ssh.KeyAlgoRSA {
		host, _, _ := net.SplitHostPort(hostPort)
		return nil, fmt.Errorf("key %s is of type %s, and %s accepts RSA keys only: write one (ssh-keygen -t rsa -b 4096), or remove %s and %s and such a pair is made",
			KeyIdentity, keyType, host, KeyIdentity, KeyIdentityPub)
	}
	if len(identityPub) == 0 {
		return ssh.MarshalAuthorizedKey(signer.PublicKey()), nil
	}
	public, err := parsePublicKey(identityPub)
	if err != nil {
		return nil, fmt.Errorf("key %s is not an SSH public key: remove it, and it is derived from %s", KeyIdentityPub, KeyIdentity)
	}
	if !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		return nil, fmt.Errorf("key %s does not belong to key %s: remove the wrong one of the two; a missing %s is derived from %s",
			KeyIdentityPub, KeyIdentity, KeyIdentityPub, KeyIdentity)
	}
	return ssh.MarshalAuthorizedKey(public), nil
}

// parsePrivateKey reads what Flux can read (NewPublicKeys in github.com/go-git/go-git/v5/plumbing/transport/ssh), and says what to do
// about the other forms of private keys that people have.
func parsePrivateKey(identity []byte) (ssh.Signer, error) {
	if len(identity) > maxKeyLength {
		return nil, fmt.Errorf("key %s has more than %d bytes, and no SSH private key is that long: write one as ssh-keygen makes it", KeyIdentity, maxKeyLength)
	}
	signer, err := ssh.ParsePrivateKey(identity)
	_, encrypted := errors.AsType[*ssh.PassphraseMissingError](err)
	block, _ := pem.Decode(identity)
	switch {
	case err == nil:
		return signer, nil
	// PKCS #8 has a form of its own for this (RFC 5958), which golang.org/x/crypto/ssh doesn't know.
	case encrypted, block != nil && block.Type == "ENCRYPTED PRIVATE KEY":
		return nil, fmt.Errorf("key %s is encrypted with a passphrase: write the private key without passphrase (ssh-keygen -p removes it)", KeyIdentity)
	case bytes.HasPrefix(identity, []byte("PuTTY-User-Key-File-")):
		return nil, fmt.Errorf("key %s is in the form of PuTTY: write it in that of OpenSSH (puttygen -O private-openssh), without passphrase", KeyIdentity)
	}
	return nil, fmt.Errorf("key %s is not an SSH private key: write one as ssh-keygen makes it, or remove %s and %s and a new pair is made",
		KeyIdentity, KeyIdentity, KeyIdentityPub)
}

// wantsRSA tells whether the Git server at hostPort accepts RSA keys only, as Azure DevOps does
// (https://learn.microsoft.com/en-us/azure/devops/repos/git/use-ssh-keys-to-authenticate).
func wantsRSA(hostPort string) bool {
	host, _, _ := net.SplitHostPort(hostPort)
	return host == "ssh.dev.azure.com" || host == "vs-ssh.visualstudio.com"
}

// newIdentity makes a key pair of a type that the Git server at hostPort accepts: the private key in the form that OpenSSH writes and that
// both Flux and ssh read, so that an admin can try it out, the public key as an authorized_keys line.
func newIdentity(hostPort string) (identity, identityPub []byte, err error) {
	private, err := newPrivateKey(hostPort)
	if err != nil {
		return nil, nil, fmt.Errorf("could not make a key pair: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, fmt.Errorf("could not encode a private key: %w", err)
	}
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return nil, nil, fmt.Errorf("could not encode a public key: %w", err)
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(public), nil
}

func newPrivateKey(hostPort string) (crypto.Signer, error) {
	if wantsRSA(hostPort) {
		return rsa.GenerateKey(rand.Reader, rsaBits)
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return private, err
}
