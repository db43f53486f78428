// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
)

// reference names something in a registry by tag, for people, and by digest, which is what counts.
type reference struct {
	repository string
	tag        string
	digest     string
}

// artifacts are what a release pushes.
type artifacts struct {
	image reference
	chart reference
}

func (r reference) String() string {
	return r.repository + ":" + r.version()
}

// version is the tag with the digest.
func (r reference) version() string {
	return r.tag + "@" + r.digest
}

// parseReference reads what String has written.
func parseReference(text string) (reference, error) {
	named, digest, hasDigest := strings.Cut(text, "@")
	colon := strings.LastIndex(named, ":")
	if !hasDigest || colon <= strings.LastIndex(named, "/") {
		return reference{}, fmt.Errorf("%q is not like registry/repository:tag@sha256:…", text)
	}
	if _, err := name.NewDigest(text, name.StrictValidation); err != nil {
		return reference{}, err
	}
	return reference{named[:colon], named[colon+1:], digest}, nil
}

// checkRegistry refuses what can't be followed by the name of a repository.
func checkRegistry(registry string) error {
	if _, err := name.NewRepository(registry+"/"+programName, name.StrictValidation); err != nil || strings.Contains(registry, "://") {
		return fmt.Errorf("the registry is %q, but must be like registry.example.org/path, without a scheme", registry)
	}
	return nil
}
