// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package archive writes and checks the compressed archive that holds the manifests of several Flux releases.
//
// It is a tar archive with the files of each release as <version>/<file>, compressed with brotli, with its licence in a
// file beside it.
package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/andybalholm/brotli"
)

// licence is written beside the archive, in the form that the REUSE specification asks for.
// REUSE-IgnoreStart
const licence = "SPDX-FileCopyrightText: The Flux authors\n\nSPDX-License-Identifier: Apache-2.0\n"

// REUSE-IgnoreEnd

// ErrStale says that an archive is not what its inputs give.
var ErrStale = errors.New("not current: run make generate")

// Pack returns an uncompressed archive with the files of releases by version and name: the same bytes for the same files.
func Pack(releases map[string]map[string][]byte) ([]byte, error) {
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

// Write compresses an archive and writes it, and its licence beside it as <path>.license.
func Write(path string, archive []byte) error {
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

// Check returns an error that is ErrStale if the archive at path does not hold what is wanted or lacks its licence. It
// compares the uncompressed contents, so that a new version of the compressor makes nothing stale.
func Check(path string, want []byte) error {
	got, err := read(path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrStale, err)
	}
	text, err := os.ReadFile(path + ".license")
	if err != nil {
		return fmt.Errorf("%w: it has no licence file: %w", ErrStale, err)
	}
	if !bytes.Equal(got, want) || string(text) != licence {
		return fmt.Errorf("%s is %w", path, ErrStale)
	}
	return nil
}

// read returns the uncompressed archive.
func read(path string) ([]byte, error) {
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
