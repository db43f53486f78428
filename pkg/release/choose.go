// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// Request says which release a shoot should have.
type Request struct {
	// Version is what the project's configuration has: one version such as v2.9.4 or 2.9.4; a range such as 2.x, ~2.9.0
	// or ">=2.6 <2.9"; Latest; or nothing, which is the same.
	Version string
	// Installed is the tag of the release that the shoot has, or empty.
	Installed string
	// Keep says that a range, or Latest, does not change what is installed as long as that satisfies it.
	Keep bool
	// Kubernetes is the Kubernetes version of the shoot. A range, or Latest, passes over releases that don't support it.
	Kubernetes string
	// AllowDowngrade says that one version, or a range, may be older than what is installed.
	AllowDowngrade bool
}

// Choice is the release that a shoot should have.
type Choice struct {
	// Version is the release's tag, for Catalogue.Get.
	Version string
	// Warning is empty, or a sentence for the user that says why this is perhaps not quite what was asked for.
	Warning string
}

// Choose decides which release a request is for. Prereleases, and releases that don't support the shoot's Kubernetes, are
// chosen only by their exact version.
//
// Latest is what the release server says; without its answer it is the newest release known otherwise. A range takes the
// newest known release that satisfies it: an embedded one, one in the directory or the OCI repository, or the server's
// latest. Neither goes back behind what is installed and satisfies it. What is chosen and not installed can be had from
// Catalogue.Get. If it can't, it is what is installed, or else the newest embedded release that satisfies the request.
//
// If that fails, the error is a sentence for the user and is ErrInvalidVersion, ErrDowngrade, or what Get returns.
// ErrVersionNotFound also means that no known release satisfies a range, and ErrPending that it takes longer than
// Options.Patience to find out.
func (c *Catalogue) Choose(ctx context.Context, request Request) (*Choice, error) {
	wish, err := parseRequest(request)
	if err != nil {
		return nil, err
	}
	if choice, err := wish.decideAlone(); choice != nil || err != nil {
		return choice, err
	}
	patience, stop := c.patience()
	defer stop()
	known, err := c.gather(ctx, patience, wish)
	if err != nil {
		return nil, err
	}
	choice, err := wish.decide(known)
	if err != nil || choice.Version == wish.installedTag() {
		return choice, err
	}
	switch _, err = c.get(ctx, patience, choice.Version); {
	case err == nil:
		return choice, nil
	case errors.Is(err, ErrPending) || ctx.Err() != nil:
		return nil, err
	}
	return wish.fallBack(choice, known, err)
}

// gather finds out which releases there are, as far as the wish needs to know.
func (c *Catalogue) gather(ctx context.Context, patience <-chan struct{}, wish *wish) (*knowledge, error) {
	known := &knowledge{embedded: parseTags(c.archive.versions)}
	lookUps := []*lookUp{c.latest}
	if c.tags != nil {
		lookUps = append(lookUps, c.tags)
	}
	// One that is down must not use up the patience for the other. If all that is wanted is the latest, and it has been
	// known before, then the other is not needed.
	if wish.isRange() || c.latest.recall().found.IsZero() {
		for _, lookUp := range lookUps {
			c.begin(lookUp)
		}
	}

	latest, err := c.look(ctx, patience, c.latest)
	if err != nil {
		return nil, err
	}
	known.add(&latest)
	if len(latest.versions) > 0 {
		known.latest = latest.versions[0]
		if !wish.isRange() && wish.isSupported(known.latest) {
			return known, nil
		}
	}
	if c.tags != nil {
		tags, err := c.look(ctx, patience, c.tags)
		if err != nil {
			return nil, err
		}
		known.add(&tags)
	}
	if c.directory != nil {
		versions, err := c.directory.versions()
		known.add(&lookedUp{versions: parseTags(versions), err: err})
	}
	return known, nil
}

// begin starts a look-up if one is due, and does not wait for it.
func (c *Catalogue) begin(l *lookUp) {
	if c.now().Before(l.recall().expires) {
		return
	}
	impatient := make(chan struct{})
	close(impatient)
	_, _ = c.look(context.Background(), impatient, l)
}

// wish is a request that was understood.
type wish struct {
	// text is the request in the words of the user.
	text string
	// Exactly one version is wanted, or one within a range, or, without both, the latest.
	exact  *semver.Version
	within *semver.Constraints
	// installed is nil if nothing is.
	installed            *semver.Version
	kubernetes           string
	keep, allowDowngrade bool
}

func parseRequest(request Request) (*wish, error) {
	wish := &wish{text: request.Version, kubernetes: request.Kubernetes, keep: request.Keep, allowDowngrade: request.AllowDowngrade}
	if request.Installed != "" {
		installed, err := version.Parse(request.Installed)
		if err != nil {
			return nil, fmt.Errorf("what is said to be installed, %q, is not the version of a Flux release: %w", request.Installed, err)
		}
		wish.installed = installed
	}
	if request.Version == "" || request.Version == Latest {
		return wish, nil
	}
	if exact, err := version.Parse(request.Version); err == nil {
		wish.exact = exact
		return wish, nil
	}
	within, err := version.ParseRange(request.Version)
	if err != nil {
		return nil, &failure{kind: ErrInvalidVersion, sentence: fmt.Sprintf(
			"%.100q is not the version of a Flux release: write it as v2.9.4, as a range such as 2.x or ~2.9.0, or as %s", request.Version, Latest)}
	}
	wish.within = within
	return wish, nil
}
