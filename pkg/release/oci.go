// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

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
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

const (
	// contentMediaType is that of the layer that the command flux push artifact makes.
	contentMediaType types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
	// maxTags bounds the tags of a repository. Flux's has some hundreds, signatures included.
	maxTags = 10_000
)

// ociRepository is the source of releases in an OCI repository such as ghcr.io/fluxcd/flux-manifests. Its tags are the
// versions, and each is what the command flux push artifact makes of what flux install --export prints.
//
// The credentials are those that the file config.json in the directory $DOCKER_CONFIG has for the registry.
type ociRepository struct {
	repository      name.Repository
	transport       http.RoundTripper
	downloadTimeout time.Duration
	lookupTimeout   time.Duration
	maxDownload     int64
	limits          unpackLimits
	retries         *retries
}

func parseRepository(text string) (name.Repository, error) {
	text = strings.TrimPrefix(text, "oci://")
	repository, err := name.NewRepository(text, name.StrictValidation)
	if err != nil || strings.Contains(text, "://") {
		return repository, fmt.Errorf("the OCI repository of the Flux releases must look like ghcr.io/fluxcd/flux-manifests, without tag, but is %q", text)
	}
	return repository, nil
}

func (o *ociRepository) where(version string) string {
	return o.repository.Tag(version).Name()
}

func (o *ociRepository) get(ctx context.Context, version string) (release *Release, err error) {
	ctx, cancel := withTimeout(ctx, o.downloadTimeout)
	defer cancel()
	err = o.retries.do(ctx, func() error {
		release, err = o.pull(ctx, version)
		return err
	})
	return release, err
}

func (o *ociRepository) pull(ctx context.Context, version string) (*Release, error) {
	puller, err := o.puller()
	if err != nil {
		return nil, err
	}
	tag := o.repository.Tag(version)
	descriptor, err := puller.Get(ctx, tag)
	if isNotFound(err) {
		return nil, &notFoundError{explain(ctx, tag.Name(), err)}
	}
	if err != nil {
		return nil, explain(ctx, tag.Name(), err)
	}
	reference := tag.Name() + "@" + descriptor.Digest.String()
	layer, err := o.layerOf(descriptor)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s %w", reference, err)}
	}
	tarball, err := o.readLayer(ctx, puller, layer)
	if err != nil {
		return nil, explain(ctx, reference+": its layer", err)
	}
	manifests, err := o.unpack(tarball, version)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %w", reference, err)}
	}
	return newRelease(version, OriginOCI, reference, manifests), nil
}

// layerOf returns the digest of the one layer of an artifact of Flux.
func (o *ociRepository) layerOf(descriptor *remote.Descriptor) (v1.Hash, error) {
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
	if manifest.Layers[0].Size > o.maxDownload {
		return v1.Hash{}, fmt.Errorf("has a layer that can't be used: %w", errTooBig(o.maxDownload))
	}
	return manifest.Layers[0].Digest, nil
}

// readLayer reads a layer by its digest, which the library verifies, and never from an URL that a manifest can name.
func (o *ociRepository) readLayer(ctx context.Context, puller *remote.Puller, digest v1.Hash) ([]byte, error) {
	layer, err := puller.Layer(ctx, o.repository.Digest(digest.String()))
	if err != nil {
		return nil, err
	}
	reader, err := layer.Compressed()
	if err != nil {
		return nil, err
	}
	defer reader.Close()
	content, err := io.ReadAll(reader)
	var transient *transientError
	if err != nil && ctx.Err() == nil && !errors.As(err, &transient) {
		// It was read as a whole, and is too big or has another digest.
		return nil, &refusedError{err}
	}
	return content, err
}

func (o *ociRepository) unpack(layer []byte, version string) ([]byte, error) {
	files, err := unpack(layer, fileInDirectory, o.limits)
	if err != nil {
		return nil, err
	}
	// Older versions of flux push artifact keep the directory, as in flux-system/gotk-components.yaml.
	var manifests []byte
	for file, content := range files {
		if path.Base(file) != manifestsFile {
			continue
		}
		if manifests != nil {
			return nil, fmt.Errorf("it has two files %s", manifestsFile)
		}
		manifests = content
	}
	if manifests == nil {
		return nil, fmt.Errorf("it has no file %s", manifestsFile)
	}
	return selectManifests(manifests, version)
}

// versions returns the tags of the repository.
func (o *ociRepository) versions(ctx context.Context) (tags []string, err error) {
	ctx, cancel := withTimeout(ctx, o.lookupTimeout)
	defer cancel()
	err = o.retries.do(ctx, func() error {
		tags, err = o.list(ctx)
		return err
	})
	return tags, err
}

func (o *ociRepository) list(ctx context.Context) ([]string, error) {
	puller, err := o.puller()
	if err != nil {
		return nil, err
	}
	pages, err := puller.Lister(ctx, o.repository)
	if err != nil {
		return nil, explain(ctx, o.repository.Name(), err)
	}
	var tags []string
	for pages.HasNext() {
		page, err := pages.Next(ctx)
		if err != nil {
			return nil, explain(ctx, o.repository.Name(), err)
		}
		if tags = append(tags, page.Tags...); len(tags) > maxTags {
			return nil, &refusedError{fmt.Errorf("%s has more than %d tags", o.repository.Name(), maxTags)}
		}
	}
	return tags, nil
}

func (o *ociRepository) puller() (*remote.Puller, error) {
	return remote.NewPuller(
		remote.WithTransport(o.transport),
		remote.WithAuthFromKeychain(authn.DefaultKeychain),
		remote.WithUserAgent(userAgent),
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
		refused     *refusedError
		transient   *transientError
		tooBig      *tooBigError
		certificate *tls.CertificateVerificationError
	)
	switch {
	case errors.As(err, &tooBig):
		return &refusedError{locate(ctx, where, tooBig)}
	case ctx.Err() != nil:
		// A registry can end its answer in order while the timeout ends the connection.
		return locate(ctx, where, ctx.Err())
	case errors.As(err, &refused), errors.As(err, &transient), errors.As(err, &certificate):
		return locate(ctx, where, err)
	case errors.As(err, &answer):
		err = fmt.Errorf("%s %w", where, &statusError{code: answer.StatusCode})
		if answer.StatusCode == http.StatusUnauthorized || answer.StatusCode == http.StatusForbidden {
			err = fmt.Errorf("%w; credentials for it belong into config.json in the directory $DOCKER_CONFIG", err)
		}
		return err
	}
	text := queryOfURL.ReplaceAllString(locate(ctx, where, err).Error(), "")
	return fmt.Errorf("%.500s", strings.Join(strings.Fields(text), " "))
}
