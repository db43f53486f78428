// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
)

// maxKeyLength in bytes is room for an RSA key of 16384 bits, the longest that golang.org/x/crypto/ssh reads.
const maxKeyLength = 16 << 10

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

// checkIdentity checks the key pair of a Secret and gives the public key, which is derived from the private one if the Secret has
// none. Of what the Secret holds, it gives only what is the public key. No error repeats what a key holds.
func checkIdentity(identity, identityPub []byte) ([]byte, error) {
	signer, err := parsePrivateKey(identity)
	if err != nil {
		return nil, err
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

// newIdentity makes a key pair: the private key in the form that OpenSSH writes and that both Flux and ssh read, so that an
// admin can try it out, the public key as an authorized_keys line.
func newIdentity() (identity, identityPub []byte, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("could not make an Ed25519 key pair: %w", err)
	}
	block, err := ssh.MarshalPrivateKey(private, "")
	if err != nil {
		return nil, nil, fmt.Errorf("could not encode an Ed25519 private key: %w", err)
	}
	sshPublic, err := ssh.NewPublicKey(public)
	if err != nil {
		return nil, nil, fmt.Errorf("could not encode an Ed25519 public key: %w", err)
	}
	return pem.EncodeToMemory(block), ssh.MarshalAuthorizedKey(sshPublic), nil
}
