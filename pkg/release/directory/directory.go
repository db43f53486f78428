// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package directory is the source of the releases in a directory that the operator mounts.
package directory

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sync"
	"syscall"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// Origin is what a release is said to come from.
const Origin = "directory"

// Source is the source of releases in a directory with the layout <version>/gotk-components.yaml. It is read
// whenever it is asked, because a volume can change while it is mounted. Symbolic links work, as in a mounted ConfigMap,
// unless they lead out of the directory.
type Source struct {
	path   string
	limits download.Limits

	// read are the files that releases were last read from, by version, to see whether they have changed since.
	read  map[string]fs.FileInfo
	mutex sync.Mutex
}

// New returns a source if the directory exists.
func New(path string, limits download.Limits) (*Source, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the directory of Flux releases can't be used: %w", err)
	}
	return &Source{path: path, limits: limits, read: map[string]fs.FileInfo{}}, nil
}

// Origin returns Origin.
func (s *Source) Origin() string { return Origin }

// Location tells in which file a version is.
func (s *Source) Location(tag string) string {
	return filepath.Join(s.path, tag, export.File)
}

// Get reads the manifests of a release. Its reference is the path of the file in the directory.
func (s *Source) Get(_ context.Context, tag string) (manifests []byte, reference string, err error) {
	reference = path.Join(tag, export.File)
	content, info, err := s.readFile(reference)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, "", failure.New(failure.ErrNotFound, "there is no "+s.Location(tag))
	}
	if err == nil {
		manifests, err = export.Available(content, tag)
	}
	if err != nil {
		return nil, "", fmt.Errorf("%s: %w", s.Location(tag), err)
	}
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.read[tag] = info
	return manifests, reference, nil
}

func (s *Source) readFile(name string) ([]byte, fs.FileInfo, error) {
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	// Opening a named pipe would wait for somebody to write to it.
	file, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, failure.New(failure.ErrRefused, "it is not a plain file")
	}
	content, err := io.ReadAll(io.LimitReader(file, s.limits.MaxUnpackedBytes+1))
	if err == nil && int64(len(content)) > s.limits.MaxUnpackedBytes {
		err = download.TooBig(s.limits.MaxUnpackedBytes)
	}
	return content, info, err
}

// HasChanged tells whether the directory no longer has the file that Get read for a version.
func (s *Source) HasChanged(tag string) bool {
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return true
	}
	defer root.Close()
	now, err := root.Stat(path.Join(tag, export.File))
	s.mutex.Lock()
	defer s.mutex.Unlock()
	read := s.read[tag]
	return err != nil || read == nil || !os.SameFile(now, read) || !now.ModTime().Equal(read.ModTime()) || now.Size() != read.Size()
}

// Versions returns the names of directories that are versions.
func (s *Source) Versions(context.Context) ([]string, error) {
	root, err := os.OpenRoot(s.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.path, err)
	}
	var tags []string
	for _, entry := range entries {
		if !version.IsTag(entry.Name()) {
			continue
		}
		// In a mounted ConfigMap, it is a symbolic link to a directory.
		if info, err := root.Stat(entry.Name()); err == nil && info.IsDir() {
			tags = append(tags, entry.Name())
		}
	}
	return tags, nil
}
