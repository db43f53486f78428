// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

// push pushes image and chart to where the manifests say they are. The credentials are those of docker login.
func push(ctx context.Context, dist string, out io.Writer) error {
	// What is pushed can't be taken back.
	if err := verify(dist, io.Discard); err != nil {
		return err
	}
	names, err := readNames(dist)
	if err != nil {
		return err
	}
	// The chart comes last: where it can be had, its image can.
	for _, part := range []struct {
		layout string
		named  reference
	}{{imageLayout, names.image}, {chartLayout, names.chart}} {
		if err := pushLayout(ctx, filepath.Join(dist, part.layout), part.named); err != nil {
			return fmt.Errorf("pushing %s: %w", part.named, err)
		}
		fmt.Fprintln(out, "pushed", part.named)
	}
	return nil
}

// pushLayout pushes the one manifest of a layout by its tag.
func pushLayout(ctx context.Context, directory string, named reference) error {
	root, descriptor, err := readLayout(directory)
	if err != nil {
		return err
	}
	tag, err := name.NewTag(named.repository+":"+named.tag, name.StrictValidation)
	if err != nil {
		return err
	}
	options := []remote.Option{remote.WithContext(ctx), remote.WithAuthFromKeychain(authn.DefaultKeychain)}
	if err := checkUnused(tag, descriptor.Digest, options); err != nil {
		return err
	}
	if descriptor.MediaType.IsIndex() {
		index, err := root.ImageIndex(descriptor.Digest)
		if err != nil {
			return err
		}
		return remote.WriteIndex(tag, index, options...)
	}
	image, err := root.Image(descriptor.Digest)
	if err != nil {
		return err
	}
	return remote.Write(tag, image, options...)
}

// checkUnused refuses to move the tag of another release.
func checkUnused(tag name.Tag, digest containerregistry.Hash, options []remote.Option) error {
	present, err := remote.Head(tag, options...)
	var refused *transport.Error
	switch {
	case errors.As(err, &refused) && refused.StatusCode == http.StatusNotFound:
		return nil
	case err != nil:
		return fmt.Errorf("asking the registry whether there is this version already: %w", err)
	case present.Digest != digest:
		return fmt.Errorf("the registry has %s already, with digest %s: a version is released once; choose the next one", tag, present.Digest)
	}
	return nil
}

// readLayout returns what a layout has, and the descriptor of its one manifest.
func readLayout(directory string) (containerregistry.ImageIndex, containerregistry.Descriptor, error) {
	root, err := layout.ImageIndexFromPath(directory)
	if err != nil {
		return nil, containerregistry.Descriptor{}, err
	}
	manifest, err := root.IndexManifest()
	if err != nil {
		return nil, containerregistry.Descriptor{}, fmt.Errorf("%s: %w", directory, err)
	}
	if len(manifest.Manifests) != 1 {
		return nil, containerregistry.Descriptor{}, fmt.Errorf("%s has %d manifests in place of one", directory, len(manifest.Manifests))
	}
	return root, manifest.Manifests[0], nil
}
