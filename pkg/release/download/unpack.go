// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"path"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// Unpack returns the files of a .tar.gz by name. All stay in memory, so that no name in the archive ever becomes a path
// on disk. The function nameOf names each entry, with an empty name for one without content, or refuses it. What has more
// entries than the limits say, or more bytes when decompressed, is refused, and so is what can't be unpacked.
func Unpack(tarball []byte, nameOf func(*tar.Header) (string, error), limits Limits) (map[string][]byte, error) {
	files, err := unpack(tarball, nameOf, limits)
	var tooBig *http.MaxBytesError
	switch {
	case errors.As(err, &tooBig):
		return nil, TooBig(limits.MaxUnpackedBytes)
	case err != nil:
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	return files, nil
}

func unpack(tarball []byte, nameOf func(*tar.Header) (string, error), limits Limits) (map[string][]byte, error) {
	decompressor, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(http.MaxBytesReader(nil, decompressor, limits.MaxUnpackedBytes))

	files := map[string][]byte{}
	left := limits.MaxUnpackedBytes
	for entries := 0; ; entries++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name, err := nameOf(header)
		if err != nil {
			return nil, err
		}
		if entries == limits.MaxFiles {
			return nil, fmt.Errorf("it has more than %d files", limits.MaxFiles)
		}
		if name == "" {
			continue
		}
		if _, ok := files[name]; ok {
			return nil, fmt.Errorf("it has two files %s", name)
		}
		// A sparse file can be bigger than what is read for it, so the bound of the reader is not enough.
		if header.Size > left {
			return nil, TooBig(limits.MaxUnpackedBytes)
		}
		left -= header.Size
		if files[name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

// TopLevelFile names the entries of an archive that holds nothing but plain files at its top level.
func TopLevelFile(header *tar.Header) (string, error) {
	name := strings.TrimPrefix(header.Name, "./")
	if header.Typeflag != tar.TypeReg {
		return "", fmt.Errorf("entry %q is not a plain file", header.Name)
	}
	if name != path.Base(name) || name == ".." || name == "." || strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("entry %q is not at its top level", header.Name)
	}
	return name, nil
}

// FileInDirectory names the entries of an archive that holds plain files and directories.
func FileInDirectory(header *tar.Header) (string, error) {
	name := path.Clean(header.Name)
	switch {
	case header.Typeflag != tar.TypeReg && header.Typeflag != tar.TypeDir:
		return "", fmt.Errorf("entry %q is neither a plain file nor a directory", header.Name)
	case !fs.ValidPath(name) || strings.Contains("/"+header.Name+"/", "/../") || strings.ContainsAny(name, "\\\x00"):
		return "", fmt.Errorf("entry %q is not inside of it", header.Name)
	case header.Typeflag == tar.TypeDir:
		return "", nil
	}
	return name, nil
}
