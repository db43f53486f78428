// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// Store is the state directory of a server: repositories, keys, and what is known about the server. It can be used whether or not the
// server runs, and by several processes at once.
type Store struct {
	dir string
}

// Open opens the state directory dir and makes it if it does not exist.
func Open(dir string) (*Store, error) {
	if dir == "" {
		return nil, fmt.Errorf("the Git server needs a state directory")
	}
	dir, err := filepath.Abs(dir)
	if err != nil {
		return nil, err
	}
	s := &Store{dir: dir}
	for _, sub := range []string{"home", "repositories", "keys", "credentials"} {
		if err := os.MkdirAll(s.path(sub), 0o700); err != nil {
			return nil, fmt.Errorf("making the state directory of the Git server: %w", err)
		}
	}
	return s, nil
}

func (s *Store) path(elements ...string) string {
	return filepath.Join(append([]string{s.dir}, elements...)...)
}

// namePattern leaves no room for "..", hidden files, "~user", quotes or options.
var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*/[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$`)

// parseName returns the name "owner/name" without the suffix .git that Git URLs carry.
func parseName(text string) (string, error) {
	name := strings.TrimSuffix(text, ".git")
	if !namePattern.MatchString(name) || strings.Contains(name, ".git/") || strings.HasSuffix(name, ".git") {
		return "", fmt.Errorf("%q is not the name of a repository: write owner/name with letters, digits, '.', '_' and '-'", text)
	}
	return name, nil
}

// Repository returns the existing repository name ("owner/name"). The error is fs.ErrNotExist if there is none.
func (s *Store) Repository(name string) (*Repository, error) {
	name, err := parseName(name)
	if err != nil {
		return nil, err
	}
	r := &Repository{store: s, name: name}
	info, err := os.Stat(r.Dir())
	if err != nil {
		return nil, fmt.Errorf("repository %s: %w", name, err)
	}
	if !info.IsDir() {
		return nil, fmt.Errorf("repository %s: %s is not a directory: %w", name, r.Dir(), fs.ErrNotExist)
	}
	return r, nil
}

// addresses returns where the server listens, or listened last. The error is fs.ErrNotExist if no server has used the directory yet.
func (s *Store) addresses() (addresses, error) {
	var a addresses
	text, err := os.ReadFile(s.path("addresses.json"))
	if err != nil {
		return a, fmt.Errorf("no Git server has been started on %s: %w", s.dir, err)
	}
	if err := json.Unmarshal(text, &a); err != nil {
		return a, fmt.Errorf("%s is damaged, remove it: %w", s.path("addresses.json"), err)
	}
	return a, nil
}

// writeFile replaces a file in one step, so that a reader never sees half of it.
func writeFile(path string, content []byte) error {
	file, err := os.CreateTemp(filepath.Dir(path), ".writing-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // fails after the rename, as it should
	if _, err := file.Write(content); err != nil {
		_ = file.Close()
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}
	return os.Rename(file.Name(), path)
}

func trimNewline(text []byte) []byte {
	return bytes.TrimRight(text, "\r\n")
}
