// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"path/filepath"
	"time"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// tagAnnotation names what is in a layout.
const tagAnnotation = "org.opencontainers.image.ref.name"

// writeImage writes the image for all platforms as a layout, and returns the digest of its index.
func (r *release) writeImage() (containerregistry.Hash, error) {
	base, err := r.baseLayers()
	if err != nil {
		return containerregistry.Hash{}, err
	}
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, program := range r.programs {
		image, err := r.image(program, base)
		if err != nil {
			return containerregistry.Hash{}, fmt.Errorf("%s: %w", program.platform, err)
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: containerregistry.Descriptor{Platform: &program.platform},
		})
	}
	index = mutate.Annotations(index, r.labels()).(containerregistry.ImageIndex)
	target, err := layout.Write(filepath.Join(r.directory, imageLayout), empty.Index)
	if err != nil {
		return containerregistry.Hash{}, err
	}
	if err := target.AppendIndex(index, layout.WithAnnotations(map[string]string{tagAnnotation: r.version})); err != nil {
		return containerregistry.Hash{}, err
	}
	return index.Digest()
}

// image is the image for one platform.
func (r *release) image(program program, base []mutate.Addendum) (containerregistry.Image, error) {
	layer, err := newLayer(func(target io.Writer) error { return archiveProgram(program.file, target) })
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.ConfigFile(image, &containerregistry.ConfigFile{
		OS: program.platform.OS, Architecture: program.platform.Architecture,
		Created: containerregistry.Time{Time: r.created},
		RootFS:  containerregistry.RootFS{Type: "layers"},
		Config:  imageConfig(r.labels()),
	})
	if err != nil {
		return nil, err
	}
	image, err = mutate.Append(image, append(base[:len(base):len(base)], mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: r.history("the program")})...)
	if err != nil {
		return nil, err
	}
	return mutate.Annotations(image, r.labels()).(containerregistry.Image), nil
}

// imageConfig is how the image is run. The Dockerfile says the same.
func imageConfig(labels map[string]string) containerregistry.Config {
	return containerregistry.Config{
		User:       fmt.Sprintf("%d:%[1]d", userID),
		Entrypoint: []string{"/" + programName},
		WorkingDir: "/home/nonroot",
		Env:        []string{"PATH=/", "SSL_CERT_FILE=/" + certificatesFile},
		Labels:     labels,
	}
}

// baseLayers are the layers below the program, which do not depend on the platform.
func (r *release) baseLayers() ([]mutate.Addendum, error) {
	var layers []mutate.Addendum
	for _, part := range []struct {
		about string
		files []file
	}{
		{"users, certificate authorities", baseFiles()},
		{"licences", licenceFiles(r.licences)},
	} {
		content, err := archive(part.files)
		if err != nil {
			return nil, err
		}
		layer, err := newLayer(func(target io.Writer) error { _, err := target.Write(content); return err })
		if err != nil {
			return nil, err
		}
		layers = append(layers, mutate.Addendum{Layer: layer, MediaType: types.OCILayer, History: r.history(part.about)})
	}
	return layers, nil
}

// newLayer returns a compressed layer of the archive that write writes.
func newLayer(write func(io.Writer) error) (containerregistry.Layer, error) {
	var compressed bytes.Buffer
	writer := gzip.NewWriter(&compressed)
	if err := write(writer); err != nil {
		return nil, err
	}
	if err := writer.Close(); err != nil {
		return nil, err
	}
	opener := func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(compressed.Bytes())), nil }
	return tarball.LayerFromOpener(opener, tarball.WithMediaType(types.OCILayer))
}

func (r *release) history(about string) containerregistry.History {
	return containerregistry.History{Created: containerregistry.Time{Time: r.created}, CreatedBy: "hack/release", Comment: about}
}

// labels say where the image comes from.
func (r *release) labels() map[string]string {
	const prefix = "org.opencontainers.image."
	return map[string]string{
		prefix + "title":         programName,
		prefix + "description":   "Installs Flux in the shoots of Gardener, and points it at their project's Git repository",
		prefix + "source":        sourceURL,
		prefix + "url":           sourceURL,
		prefix + "documentation": sourceURL + "/blob/" + r.version + "/README.md",
		prefix + "licenses":      "Apache-2.0",
		prefix + "version":       r.version,
		prefix + "revision":      r.revision,
		prefix + "created":       r.created.Format(time.RFC3339),
	}
}
