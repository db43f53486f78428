// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

const hostKeysFile = "hostkeys.pem"

// HostKeys returns the server's public host keys: Ed25519, ECDSA and RSA, as forges have them. The error is fs.ErrNotExist if no server has
// been started on the directory.
func (s *Store) HostKeys() ([]ssh.PublicKey, error) {
	signers, err := s.hostSigners()
	if err != nil {
		return nil, err
	}
	keys := make([]ssh.PublicKey, 0, len(signers))
	for _, signer := range signers {
		keys = append(keys, signer.PublicKey())
	}
	return keys, nil
}

// KnownHosts returns the lines for a known_hosts file, one for each host key, with the host as [127.0.0.1]:<port>. The error is
// fs.ErrNotExist if no server has been started on the directory.
func (s *Store) KnownHosts() ([]byte, error) {
	a, err := s.addresses()
	if err != nil {
		return nil, err
	}
	keys, err := s.HostKeys()
	if err != nil {
		return nil, err
	}
	var lines bytes.Buffer
	for _, key := range keys {
		lines.WriteString(knownhosts.Line([]string{a.SSH}, key) + "\n")
	}
	return lines.Bytes(), nil
}

// RotateHostKey replaces all host keys. A running server shows the new ones from the next connection on; clients that know the old ones
// refuse it.
func (s *Store) RotateHostKey() error {
	if err := s.generateHostKeys(); err != nil {
		return err
	}
	return s.writeKnownHosts()
}

func (s *Store) ensureHostKeys() error {
	_, err := s.hostSigners()
	if errors.Is(err, fs.ErrNotExist) {
		return s.generateHostKeys()
	}
	return err
}

// generateHostKeys writes all host keys into one file, so that a connection sees either all old or all new ones.
func (s *Store) generateHostKeys() error {
	_, ed25519Key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	ecdsaKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return err
	}
	var content bytes.Buffer
	for _, key := range []crypto.PrivateKey{ed25519Key, ecdsaKey, rsaKey} {
		block, err := ssh.MarshalPrivateKey(key, "Git server of the landscape")
		if err != nil {
			return err
		}
		if err := pem.Encode(&content, block); err != nil {
			return err
		}
	}
	return writeFile(s.path(hostKeysFile), content.Bytes())
}

func (s *Store) hostSigners() ([]ssh.Signer, error) {
	content, err := os.ReadFile(s.path(hostKeysFile))
	if err != nil {
		return nil, fmt.Errorf("reading the host keys of the Git server: %w", err)
	}
	var signers []ssh.Signer
	for block, rest := pem.Decode(content); block != nil; block, rest = pem.Decode(rest) {
		signer, err := ssh.ParsePrivateKey(pem.EncodeToMemory(block))
		if err != nil {
			return nil, fmt.Errorf("%s is damaged, remove it to get new host keys: %w", s.path(hostKeysFile), err)
		}
		signers = append(signers, signer)
	}
	if len(signers) == 0 {
		return nil, fmt.Errorf("%s holds no key, remove it to get new host keys", s.path(hostKeysFile))
	}
	return signers, nil
}

func (s *Store) writeKnownHosts() error {
	lines, err := s.KnownHosts()
	if err != nil {
		return err
	}
	return writeFile(s.path("known_hosts"), lines)
}
