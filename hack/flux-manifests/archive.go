// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/andybalholm/brotli"
)

// packArchive returns a tar archive with the files of releases as <version>/<file>, the same bytes for the same files.
func packArchive(releases map[string]map[string][]byte) ([]byte, error) {
	var buffer bytes.Buffer
	writer := tar.NewWriter(&buffer)
	for _, version := range slices.Sorted(maps.Keys(releases)) {
		files := releases[version]
		for _, name := range slices.Sorted(maps.Keys(files)) {
			header := &tar.Header{Name: version + "/" + name, Mode: 0o644, Size: int64(len(files[name])), Format: tar.FormatUSTAR}
			if err := writer.WriteHeader(header); err != nil {
				return nil, err
			}
			if _, err := writer.Write(files[name]); err != nil {
				return nil, err
			}
		}
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	return buffer.Bytes(), nil
}

// writeArchive writes the compressed archive and its licence.
func writeArchive(path string, archive []byte) error {
	var compressed bytes.Buffer
	// The window of 16 MiB lets a release reuse what is equal in the releases before it.
	writer := brotli.NewWriterOptions(&compressed, brotli.WriterOptions{Quality: brotli.BestCompression, LGWin: 24})
	if _, err := writer.Write(archive); err != nil {
		return err
	}
	if err := writer.Close(); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".license", []byte(licence), 0o644); err != nil {
		return err
	}
	return os.WriteFile(path, compressed.Bytes(), 0o644)
}

// readArchive returns the uncompressed archive.
func readArchive(path string) ([]byte, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	archive, err := io.ReadAll(brotli.NewReader(file))
	if err != nil {
		return nil, fmt.Errorf("decompressing %s: %w", path, err)
	}
	return archive, nil
}
