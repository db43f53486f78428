// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"syscall"
)

// manifestsFile is the name that flux bootstrap and Flux's OCI artifacts give to what flux install --export prints.
const manifestsFile = "gotk-components.yaml"

// directory is the source of releases in a directory with the layout <version>/gotk-components.yaml. It is read
// whenever it is asked, because a volume can change while it is mounted. Symbolic links work, as in a mounted ConfigMap,
// unless they lead out of the directory.
type directory struct {
	path     string
	maxBytes int64
}

func newDirectory(path string, maxBytes int64) (*directory, error) {
	info, err := os.Stat(path)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s is not a directory", path)
	}
	if err != nil {
		return nil, fmt.Errorf("the directory of Flux releases can't be used: %w", err)
	}
	return &directory{path: path, maxBytes: maxBytes}, nil
}

func (d *directory) where(version string) string {
	return filepath.Join(d.path, version, manifestsFile)
}

func (d *directory) get(_ context.Context, version string) (*Release, error) {
	content, info, err := d.read(version)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, &notFoundError{fmt.Errorf("there is no %s", d.where(version))}
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.where(version), err)
	}
	manifests, err := selectManifests(content, version)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", d.where(version), err)}
	}
	release := newRelease(version, OriginDirectory, path.Join(version, manifestsFile), manifests)
	release.file = info
	return release, nil
}

func (d *directory) read(version string) ([]byte, fs.FileInfo, error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, nil, err
	}
	defer root.Close()
	// Opening a named pipe would wait for somebody to write to it.
	file, err := root.OpenFile(path.Join(version, manifestsFile), os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, nil, &refusedError{errors.New("it is not a plain file")}
	}
	content, err := io.ReadAll(io.LimitReader(file, d.maxBytes+1))
	if err == nil && int64(len(content)) > d.maxBytes {
		err = &refusedError{errTooBig(d.maxBytes)}
	}
	return content, info, err
}

// current tells whether the directory still has the file that a release was read from.
func (d *directory) current(release *Release) bool {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return false
	}
	defer root.Close()
	info, err := root.Stat(release.Source)
	return err == nil && os.SameFile(info, release.file) && info.ModTime().Equal(release.file.ModTime()) && info.Size() == release.file.Size()
}

// versions returns the names of directories that are versions.
func (d *directory) versions() ([]string, error) {
	root, err := os.OpenRoot(d.path)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	entries, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, fmt.Errorf("%s: %w", d.path, err)
	}
	var versions []string
	for _, entry := range entries {
		if !isTag(entry.Name()) {
			continue
		}
		// In a mounted ConfigMap, it is a symbolic link to a directory.
		if info, err := root.Stat(entry.Name()); err == nil && info.IsDir() {
			versions = append(versions, entry.Name())
		}
	}
	return versions, nil
}
