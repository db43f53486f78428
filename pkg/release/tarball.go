// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// unpackLimits bound what is in an archive.
type unpackLimits struct {
	files int
	bytes int64
}

// unpack returns the files of a .tar.gz by name. All stay in memory, so that no name in the archive ever becomes a path
// on disk. The function nameOf names each entry, with an empty name for one without content, or refuses it. Unpack
// refuses more entries than the limits say, and more bytes when decompressed.
func unpack(tarball []byte, nameOf func(*tar.Header) (string, error), limits unpackLimits) (map[string][]byte, error) {
	decompressor, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	archive := tar.NewReader(&boundedReader{reader: decompressor, left: limits.bytes, limit: limits.bytes})

	files := map[string][]byte{}
	left := limits.bytes
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
		if entries == limits.files {
			return nil, fmt.Errorf("it has more than %d files", limits.files)
		}
		if name == "" {
			continue
		}
		if _, ok := files[name]; ok {
			return nil, fmt.Errorf("it has two files %s", name)
		}
		// A sparse file can be bigger than what is read for it, so the bound of the reader is not enough.
		if header.Size > left {
			return nil, errTooBig(limits.bytes)
		}
		left -= header.Size
		if files[name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

// topLevelFile names the entries of an archive that holds nothing but plain files at its top level.
func topLevelFile(header *tar.Header) (string, error) {
	name := strings.TrimPrefix(header.Name, "./")
	if header.Typeflag != tar.TypeReg {
		return "", fmt.Errorf("entry %q is not a plain file", header.Name)
	}
	if name != path.Base(name) || name == ".." || name == "." || strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("entry %q is not at its top level", header.Name)
	}
	return name, nil
}

// fileInDirectory names the entries of an archive that holds plain files and directories.
func fileInDirectory(header *tar.Header) (string, error) {
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

// boundedReader fails, rather than ends, when there is more to read than its limit.
type boundedReader struct {
	reader      io.Reader
	left, limit int64
}

func (b *boundedReader) Read(buffer []byte) (int, error) {
	if int64(len(buffer)) > b.left+1 {
		buffer = buffer[:b.left+1]
	}
	n, err := b.reader.Read(buffer)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, errTooBig(b.limit)
	}
	return n, err
}

type tooBigError struct{ limit int64 }

func (t *tooBigError) Error() string {
	return fmt.Sprintf("it is bigger than %d bytes", t.limit)
}

func errTooBig(limit int64) error {
	return &tooBigError{limit}
}
