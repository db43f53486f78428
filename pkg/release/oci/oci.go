// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package oci is the source of the releases in an OCI repository with the layout of Flux's own. What comes from it is verified by its
// digest.
package oci

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

const (
	// Origin is what a release is said to come from.
	Origin = "oci"
	// DefaultRepository is where Flux publishes the manifests of its releases, since v0.36.0.
	DefaultRepository = "ghcr.io/fluxcd/flux-manifests"

	// contentMediaType is that of the layer that the command flux push artifact makes.
	contentMediaType types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
	// maxTags bounds the tags of a repository. Flux's has some hundreds, signatures included.
	maxTags = 10_000
)

// Source is the source of releases in an OCI repository such as DefaultRepository. Its tags are the
// versions, and each is what the command flux push artifact makes of what flux install --export prints.
//
// The credentials are those that the file config.json in the directory $DOCKER_CONFIG has for the registry.
type Source struct {
	repository name.Repository
	transport  http.RoundTripper
	limits     download.Limits
}

// New returns the source with a repository, which uses a transport of package download.
func New(repository string, transport http.RoundTripper, limits download.Limits) (*Source, error) {
	repository = strings.TrimPrefix(repository, "oci://")
	parsed, err := name.NewRepository(repository, name.StrictValidation)
	if err != nil || strings.Contains(repository, "://") {
		return nil, fmt.Errorf("the OCI repository of the Flux releases must look like ghcr.io/fluxcd/flux-manifests, without tag, but is %q", repository)
	}
	return &Source{repository: parsed, transport: transport, limits: limits}, nil
}

// Origin returns Origin.
func (s *Source) Origin() string { return Origin }

// Location returns the reference of a version, or of the repository.
func (s *Source) Location(tag string) string {
	if tag == "" {
		return s.repository.Name()
	}
	return s.repository.Tag(tag).Name()
}

// Get pulls the manifests of a release. Their reference has the digest of the artifact.
func (s *Source) Get(ctx context.Context, version string) (manifests []byte, reference string, err error) {
	puller, err := s.puller()
	if err != nil {
		return nil, "", err
	}
	tag := s.repository.Tag(version)
	descriptor, err := puller.Get(ctx, tag)
	if isNotFound(err) {
		return nil, "", failure.Mark(failure.ErrNotFound, explain(ctx, tag.Name(), err))
	}
	if err != nil {
		return nil, "", explain(ctx, tag.Name(), err)
	}
	reference = tag.Name() + "@" + descriptor.Digest.String()
	layer, err := s.layerOf(descriptor)
	if err != nil {
		return nil, "", failure.Mark(failure.ErrRefused, fmt.Errorf("%s %w", reference, err))
	}
	tarball, err := s.readLayer(ctx, puller, layer)
	if err != nil {
		return nil, "", explain(ctx, reference+": its layer", err)
	}
	if manifests, err = s.unpack(tarball, version); err != nil {
		return nil, "", failure.Mark(failure.ErrRefused, fmt.Errorf("%s: %w", reference, err))
	}
	return manifests, reference, nil
}

// layerOf returns the digest of the one layer of an artifact of Flux.
func (s *Source) layerOf(descriptor *remote.Descriptor) (v1.Hash, error) {
	if !descriptor.MediaType.IsImage() {
		return v1.Hash{}, fmt.Errorf("is no OCI artifact, but has the media type %.100q", descriptor.MediaType)
	}
	image, err := descriptor.Image()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("is malformed: %w", err)
	}
	manifest, err := image.Manifest()
	if err != nil {
		return v1.Hash{}, fmt.Errorf("is malformed: %w", err)
	}
	if len(manifest.Layers) != 1 || manifest.Layers[0].MediaType != contentMediaType {
		return v1.Hash{}, fmt.Errorf("is not what flux push artifact makes: it does not have one layer %s", contentMediaType)
	}
	if manifest.Layers[0].Size > s.limits.MaxDownloadBytes {
		return v1.Hash{}, fmt.Errorf("has a layer that can't be used: %w", download.TooBig(s.limits.MaxDownloadBytes))
	}
	return manifest.Layers[0].Digest, nil
}

// readLayer reads a layer by its digest, which the library verifies, and never from an URL that a manifest can name.
func (s *Source) readLayer(ctx context.Context, puller *remote.Puller, digest v1.Hash) ([]byte, error) {
	layer, err := puller.Layer(ctx, s.repository.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	reader, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	content, err := io.ReadAll(reader)
	if err != nil && ctx.Err() == nil && !errors.Is(err, failure.ErrTransient) {
		// It was read as a whole, and is too big or has another digest.
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	return content, err
}

func (s *Source) unpack(layer []byte, version string) ([]byte, error) {
	files, err := download.Unpack(layer, download.FileInDirectory, s.limits)
	if err != nil {
		return nil, err
	}
	// Older versions of flux push artifact keep the directory, as in flux-system/gotk-components.yaml.
	var manifests []byte
	for file, content := range files {
		if path.Base(file) != export.File {
			continue
		}
		if manifests != nil {
			return nil, fmt.Errorf("it has two files %s", export.File)
		}
		manifests = content
	}
	if manifests == nil {
		return nil, fmt.Errorf("it has no file %s", export.File)
	}
	return export.Available(manifests, version)
}

// Versions returns the tags of the repository.
func (s *Source) Versions(ctx context.Context) ([]string, error) {
	puller, err := s.puller()
	if err != nil {
		return nil, err
	}
	pages, err := puller.Lister(ctx, s.repository)
	if err != nil {
		return nil, explain(ctx, s.repository.Name(), err)
	}
	var tags []string
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return nil, explain(ctx, s.repository.Name(), err)
		}
		if tags = append(tags, page.Tags...); len(tags) > maxTags {
			return nil, failure.New(failure.ErrRefused, fmt.Sprintf("%s has more than %d tags", s.repository.Name(), maxTags))
		}
	}
	return tags, nil
}

func (s *Source) puller() (*remote.Puller, error) {
	return remote.NewPuller(
		remote.WithTransport(s.transport),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithUserAgent(download.UserAgent),
		// Whether to try again is decided by what uses this.
		remote.WithRetryPredicate(func(error) bool { return false }),
		remote.WithRetryStatusCodes(),
	)
}

func isNotFound(err error) bool {
	var answer *transport.Error
	return errors.As(err, &answer) && answer.StatusCode == http.StatusNotFound
}

var queryOfURL = regexp.MustCompile(`\?[^\s"]+`)

// explain turns an error of the registry's client into one that says where it happened, and repeats neither what the
// registry says in its own words, nor URLs with tokens. The client tries plain HTTP after HTTPS at a few addresses, such
// as 127.0.0.1, and has the errors of both: what is said about HTTPS comes first.
func explain(ctx context.Context, where string, err error) error {
	var (
		answer      *transport.Error
		tooBig      *http.MaxBytesError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &tooBig):
		return download.Locate(ctx, where, download.TooBig(tooBig.Limit))
	case ctx.Err() != nil:
		// A registry can end its answer in order while the timeout ends the connection.
		return download.Locate(ctx, where, ctx.Err())
	case errors.Is(err, failure.ErrRefused), errors.Is(err, failure.ErrTransient), errors.As(err, &certificate):
		return download.Locate(ctx, where, err)
	case errors.As(err, &answer):
		err = fmt.Errorf("%s %w", where, &download.StatusError{Code: answer.StatusCode})
		if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
			err = fmt.Errorf("%w; credentials for it belong into config.json in the directory $DOCKER_CONFIG", err)
		}
		return err
	}
	text := queryOfURL.ReplaceAllString(download.Locate(ctx, where, err).Error(), "")
	return fmt.Errorf("%.500s", strings.Join(strings.Fields(text), " "))
}
