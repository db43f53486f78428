// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package fluxversion knows what the fields flux.version and flux.allowDowngrade of the configuration ask for: which of the known releases
// of Flux a shoot gets. It does no I/O.
package fluxversion

import (
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// The kinds of mistakes in what is asked for, to be told apart with errors.Is. The error itself is a sentence for the user, who must
// ask for something else.
var (
	// ErrInvalidVersion means that what was asked for is neither the version of a release, such as v2.9.4, nor, where
	// that is allowed, a range of versions or version.Latest.
	ErrInvalidVersion = errors.New("invalid Flux version")
	// ErrVersionNotFound means that there is no such release, or that no known one satisfies the range.
	ErrVersionNotFound = errors.New("Flux version not found")
	// ErrDowngrade means that what was asked for is older than what is installed, and that this is not allowed.
	ErrDowngrade = errors.New("Flux downgrade not allowed")
	// ErrUnsupportedKubernetes means that a release of Flux does not support the Kubernetes version of the shoot. The user
	// can also choose another one of that.
	ErrUnsupportedKubernetes = errors.New("Kubernetes version not supported by Flux version")
)

// Request says which release a shoot should have.
type Request struct {
	// Version is what the configuration has: one version such as v2.9.4 or 2.9.4; a range such as 2.x, ~2.9.0
	// or ">=2.6 <2.9"; version.Latest; or nothing, which is the same.
	Version string
	// Installed is the tag of the release that the shoot has, or empty.
	Installed string
	// Keep says that a range, or the latest, does not change what is installed as long as that satisfies it.
	Keep bool
	// Kubernetes is the Kubernetes version of the shoot. A range, or the latest, passes over releases that don't support it.
	Kubernetes string
	// AllowDowngrade says that one version, or a range, may be older than what is installed.
	AllowDowngrade bool
	// Origins say where to write something else.
	Origins project.Origins
}

// Choice is the release that a shoot should have.
type Choice struct {
	// Version is the release's tag.
	Version string
	// Warning is empty, or a sentence for the user that says why this is perhaps not quite what was asked for.
	Warning string
}

// Constraint is a request that was understood.
//
// Prereleases, and releases that don't support the shoot's Kubernetes, are chosen only by their exact version. The latest is what the
// release server says; without its answer it is the newest release known otherwise. A range takes the newest known release that
// satisfies it. Neither goes back behind what is installed and satisfies it.
type Constraint struct {
	request Request
	// Exactly one version is asked for, or one within a range, or, without both, the latest.
	exact  *semver.Version
	within *semver.Constraints
	// installed is nil if nothing is.
	installed *semver.Version
}

// Parse understands a request.
func Parse(request Request) (*Constraint, error) {
	c := &Constraint{request: request}
	var err error
	if request.Installed != "" {
		if c.installed, err = version.Parse(request.Installed); err != nil {
			return nil, fmt.Errorf("what is said to be installed, %q, is not the version of a Flux release: %w", request.Installed, err)
		}
	}
	if request.Version == "" || request.Version == version.Latest {
		return c, nil
	}
	if c.exact, err = version.Parse(request.Version); err == nil {
		return c, nil
	}
	if c.within, err = version.ParseRange(request.Version); err != nil {
		return nil, failure.New(ErrInvalidVersion, fmt.Sprintf(
			"%.100q is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as %s", request.Version, version.Latest))
	}
	return c, nil
}

// IsRange tells whether a range is asked for.
func (c *Constraint) IsRange() bool {
	return c.within != nil
}

// NotFound is the error of a version that does not exist, as sources of releases say. Another one does. Who has asked for it is told where by
// Correct.
func NotFound(tag, sources, another string) error {
	return failure.New(ErrVersionNotFound, fmt.Sprintf("Flux version %s does not exist (%s), %s for example does", tag, sources, another))
}

// Correct adds to an error of NotFound where to write another version, and leaves any other as it is.
func Correct(err error, origins project.Origins) error {
	if errors.Is(err, ErrVersionNotFound) {
		return fmt.Errorf("%w: correct %s", err, origins.Of(project.FieldVersion))
	}
	return err
}
