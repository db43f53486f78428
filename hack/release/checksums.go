// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// writeChecksums writes the checksums of all files, as sha256sum does.
func writeChecksums(directory string) error {
	sums, err := checksums(directory)
	if err != nil {
		return err
	}
	var text bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		fmt.Fprintf(&text, "%s  %s\n", sums[name], name)
	}
	return os.WriteFile(filepath.Join(directory, checksumFile), text.Bytes(), 0o644)
}

// verifyChecksums shows that a directory has the files that its checksums name, and no others.
func verifyChecksums(directory string) (int, error) {
	actual, err := checksums(directory)
	if err != nil {
		return 0, err
	}
	written, err := os.ReadFile(filepath.Join(directory, checksumFile))
	if err != nil {
		return 0, err
	}
	expected := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(written)); lines.Scan(); {
		sum, name, isSum := strings.Cut(lines.Text(), "  ")
		if !isSum {
			return 0, fmt.Errorf("%s has a line that is none of sha256sum: %q", checksumFile, lines.Text())
		}
		expected[name] = sum
	}
	for _, name := range slices.Sorted(maps.Keys(expected)) {
		if actual[name] != expected[name] {
			return 0, fmt.Errorf("%s: its checksum is %q, and not %s", name, actual[name], expected[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(actual)) {
		if expected[name] == "" {
			return 0, fmt.Errorf("%s is not in %s", name, checksumFile)
		}
	}
	return len(expected), nil
}

// checksums are the checksums of all files but of their list.
func checksums(directory string) (map[string]string, error) {
	sums := map[string]string{}
	err := filepath.WalkDir(directory, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(directory, name)
		if err != nil || relative == checksumFile {
			return err
		}
		sums[filepath.ToSlash(relative)], err = checksum(name)
		return err
	})
	return sums, err
}

func checksum(name string) (string, error) {
	content, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer content.Close()
	hash := sha256.New()
	if _, err := io.Copy(hash, content); err != nil {
		return "", err
	}
	return hex.EncodeToString(hash.Sum(nil)), nil
}
