// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// What `flux push artifact` writes: github.com/fluxcd/pkg/oci.
const (
	configMediaType  types.MediaType = "application/vnd.cncf.flux.config.v1+json"
	contentMediaType types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"

	createdAnnotation  = "org.opencontainers.image.created"
	sourceAnnotation   = "org.opencontainers.image.source"
	revisionAnnotation = "org.opencontainers.image.revision"
)

// Artifact is what is pushed.
type Artifact struct {
	// Files are its content.
	Files fs.FS
	// Source and Revision are where it is made from: a Git URL, and such as "main@sha1:…".
	Source, Revision string
}

// URL is that of a repository as an OCIRepository has it.
func (r *Registry) URL(repository string) string { return "oci://" + r.Host + "/" + repository }

// Push pushes an artifact to a repository, as `flux push artifact` does, and returns its digest. A tag that exists moves to it.
func (r *Registry) Push(ctx context.Context, repository, tag string, artifact Artifact) (digest string, err error) {
	reference, err := name.NewTag(r.Host + "/" + repository + ":" + tag)
	if err != nil {
		return "", err
	}
	image, err := artifact.image()
	if err != nil {
		return "", fmt.Errorf("making artifact %s: %w", reference, err)
	}
	if err := remote.Write(reference, image, r.remoteOptions(ctx)...); err != nil {
		return "", fmt.Errorf("pushing artifact %s: %w", reference, err)
	}
	hash, err := image.Digest()
	return hash.String(), err
}

// Tag gives an artifact of a repository another tag. A tag that exists moves to it.
func (r *Registry) Tag(ctx context.Context, repository, digest, tag string) error {
	from, err := name.NewDigest(r.Host + "/" + repository + "@" + digest)
	if err != nil {
		return err
	}
	options := r.remoteOptions(ctx)
	descriptor, err := remote.Get(from, options...)
	if err != nil {
		return fmt.Errorf("getting artifact %s: %w", from, err)
	}
	return remote.Tag(from.Tag(tag), descriptor, options...)
}

func (r *Registry) remoteOptions(ctx context.Context) []remote.Option {
	return []remote.Option{remote.WithContext(ctx), remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r)}
}

func (a Artifact) image() (containerregistry.Image, error) {
	content, err := a.archive()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, tarball.WithMediaType(contentMediaType))
	if err != nil {
		return nil, err
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), configMediaType)
	if image, err = mutate.Append(image, mutate.Addendum{Layer: layer}); err != nil {
		return nil, err
	}
	created := time.Now().UTC()
	if image, err = mutate.CreatedAt(image, containerregistry.Time{Time: created}); err != nil {
		return nil, err
	}
	return mutate.Annotations(image, map[string]string{
		createdAnnotation: created.Format(time.RFC3339), sourceAnnotation: a.Source, revisionAnnotation: a.Revision,
	}).(containerregistry.Image), nil
}

// archive is the content, packed.
func (a Artifact) archive() ([]byte, error) {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	err := archive.AddFS(a.Files)
	err = errors.Join(err, archive.Close(), compressed.Close())
	return packed.Bytes(), err
}
