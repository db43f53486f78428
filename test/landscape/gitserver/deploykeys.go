// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/crypto/ssh"
)

// keysDir holds the repository's deploy keys, see the package's documentation.
func (r *Repository) keysDir() string { return r.store.path("keys", filepath.FromSlash(r.name)) }

// RegisterKey lets the key of an authorized_keys line (what identity.pub or id_ed25519.pub hold) read the repository. Registering it again
// changes nothing. A line that is no public key, or has options, is an error.
func (r *Repository) RegisterKey(authorizedKeyLine []byte) error {
	key, err := parseKey(authorizedKeyLine)
	if err != nil {
		return fmt.Errorf("registering a key for repository %s: %w", r.name, err)
	}
	if err := os.MkdirAll(r.keysDir(), 0o700); err != nil {
		return err
	}
	sum := sha256.Sum256(key.Marshal())
	return writeFile(filepath.Join(r.keysDir(), hex.EncodeToString(sum[:])+".pub"), append(bytes.TrimSpace(authorizedKeyLine), '\n'))
}

// UnregisterKey takes the key's access to the repository away, in whichever file it was registered. A key that is not registered is no error.
func (r *Repository) UnregisterKey(authorizedKeyLine []byte) error {
	key, err := parseKey(authorizedKeyLine)
	if err != nil {
		return fmt.Errorf("unregistering a key of repository %s: %w", r.name, err)
	}
	files, err := r.keyFiles()
	if err != nil {
		return err
	}
	for _, file := range files {
		if err := removeKey(file, key); err != nil {
			return err
		}
	}
	return nil
}

// removeKey removes the lines of key from file, and the file if nothing else is in it.
func removeKey(file string, key ssh.PublicKey) error {
	content, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	var rest []byte
	for line := range bytes.Lines(content) {
		if candidate, err := parseKey(line); err == nil && equal(candidate, key) {
			continue
		}
		rest = append(rest, line...)
	}
	switch {
	case len(rest) == len(content):
		return nil
	case len(bytes.TrimSpace(rest)) == 0:
		return os.Remove(file)
	}
	return writeFile(file, rest)
}

// hasKey says whether key is registered. It reads the directory each time, since other processes write there. Lines that hold no key open
// no door; the error, if any, tells about files that cannot be read.
func (r *Repository) hasKey(key ssh.PublicKey) (bool, error) {
	files, err := r.keyFiles()
	if err != nil {
		return false, err
	}
	var problems []error
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		for line := range bytes.Lines(content) {
			if candidate, err := parseKey(line); err == nil && equal(candidate, key) {
				return true, nil
			}
		}
	}
	return false, errors.Join(problems...)
}

func (r *Repository) keyFiles() ([]string, error) {
	entries, err := os.ReadDir(r.keysDir())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []string
	for _, entry := range entries {
		if filepath.Ext(entry.Name()) == ".pub" {
			files = append(files, filepath.Join(r.keysDir(), entry.Name()))
		}
	}
	return files, nil
}

// knowsKey says whether key is registered for any repository.
func (s *Store) knowsKey(key ssh.PublicKey) (bool, error) {
	dirs, err := filepath.Glob(s.path("keys", "*", "*"))
	if err != nil {
		return false, err
	}
	var problems []error
	for _, dir := range dirs {
		name, err := filepath.Rel(s.path("keys"), dir)
		if err != nil {
			return false, err
		}
		repository, err := s.Repository(filepath.ToSlash(name))
		if err != nil {
			continue // keys may be put down before their repository exists
		}
		known, err := repository.hasKey(key)
		if known {
			return true, nil
		}
		problems = append(problems, err)
	}
	return false, errors.Join(problems...)
}

// parseKey reads one line of an authorized_keys file. Options (from="…", restrict) are refused, because the server would not obey them.
func parseKey(line []byte) (ssh.PublicKey, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey(line)
	switch {
	case err != nil:
		return nil, fmt.Errorf("not a public key in OpenSSH's form (such as \"ssh-ed25519 AAAA…\"): %w", err)
	case len(options) > 0:
		return nil, errors.New("the public key has options in front of it: remove them")
	case len(bytes.TrimSpace(rest)) > 0:
		return nil, errors.New("more than one line: register one public key at a time")
	}
	return key, nil
}

func equal(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }
