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
	"path"
	"strings"
)

// unpack returns the files of a manifests.tar.gz by name. All stay in memory, so that no name in the archive ever
// becomes a path on disk. It refuses an archive that holds anything but plain files at its top level, more than
// maxFiles of them, or more than maxBytes when decompressed.
func unpack(tarball []byte, maxFiles int, maxBytes int64) (map[string][]byte, error) {
	decompressor, err := gzip.NewReader(bytes.NewReader(tarball))
	if err != nil {
		return nil, err
	}
	bounded := &boundedReader{reader: decompressor, left: maxBytes, limit: maxBytes}
	archive := tar.NewReader(bounded)

	files := map[string][]byte{}
	left := maxBytes
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return files, nil
		}
		if err != nil {
			return nil, err
		}
		name, err := plainName(header)
		if err != nil {
			return nil, err
		}
		if _, ok := files[name]; ok {
			return nil, fmt.Errorf("it has two files %s", name)
		}
		if len(files) == maxFiles {
			return nil, fmt.Errorf("it has more than %d files", maxFiles)
		}
		// A sparse file can be bigger than what is read for it, so the bound of the reader is not enough.
		if header.Size > left {
			return nil, errTooBig(maxBytes)
		}
		left -= header.Size
		if files[name], err = io.ReadAll(archive); err != nil {
			return nil, err
		}
	}
}

func plainName(header *tar.Header) (string, error) {
	name := strings.TrimPrefix(header.Name, "./")
	if header.Typeflag != tar.TypeReg {
		return "", fmt.Errorf("entry %q is not a plain file", header.Name)
	}
	if name != path.Base(name) || name == ".." || name == "." || strings.ContainsAny(name, "\\\x00") {
		return "", fmt.Errorf("entry %q is not at its top level", header.Name)
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

func errTooBig(limit int64) error {
	return fmt.Errorf("it is bigger than %d bytes", limit)
}
