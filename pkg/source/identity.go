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

	"golang.org/x/crypto/ssh"
)

// checkIdentity checks the key pair of a Secret and gives the public key, which is derived from the
// private one if the Secret has none. No error repeats what a key holds.
func checkIdentity(identity, identityPub []byte) ([]byte, error) {
	signer, err := ssh.ParsePrivateKey(identity)
	if _, encrypted := errors.AsType[*ssh.PassphraseMissingError](err); encrypted {
		return nil, fmt.Errorf("key %s is encrypted with a passphrase: write the private key without passphrase (ssh-keygen -p removes it)", KeyIdentity)
	}
	if err != nil {
		return nil, fmt.Errorf("key %s is not an SSH private key: write one as ssh-keygen makes it, or remove %s and %s and a new pair is made",
			KeyIdentity, KeyIdentity, KeyIdentityPub)
	}
	if len(identityPub) == 0 {
		return ssh.MarshalAuthorizedKey(signer.PublicKey()), nil
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey(identityPub)
	if err != nil {
		return nil, fmt.Errorf("key %s is not an SSH public key: remove it, and it is derived from %s", KeyIdentityPub, KeyIdentity)
	}
	if !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		return nil, fmt.Errorf("key %s does not belong to key %s: remove the wrong one of the two; a missing %s is derived from %s",
			KeyIdentityPub, KeyIdentity, KeyIdentityPub, KeyIdentity)
	}
	return identityPub, nil
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
