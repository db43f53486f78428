// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// Choose decides which release a request is for. What is chosen and not installed can be had from Get. If it can't, it is what
// is installed, or else the newest embedded release that satisfies the request.
//
// If that fails, the error is a sentence for the user and is one of package fluxversion, or what Get returns. ErrPending also means
// that it takes longer than Options.WaitLimit to find out which releases there are.
func (c *Catalogue) Choose(ctx context.Context, request fluxversion.Request) (*fluxversion.Choice, error) {
	constraint, err := fluxversion.Parse(request)
	if err != nil {
		return nil, err
	}
	if !constraint.NeedsReleases() {
		return constraint.Choose(nil)
	}
	limited, stop := c.limit(ctx)
	defer stop()
	known, err := c.knownReleases(limited, constraint)
	if err != nil {
		return nil, err
	}
	choice, err := constraint.Choose(known)
	if err != nil || choice.Version == request.Installed {
		return choice, err
	}
	switch _, err = c.get(ctx, limited, choice.Version); {
	case err == nil:
		return choice, nil
	case errors.Is(err, ErrPending) || ctx.Err() != nil:
		return nil, err
	}
	return constraint.Replace(choice, known, err)
}

// knownReleases finds out which releases there are, as far as the constraint needs to know.
func (c *Catalogue) knownReleases(ctx context.Context, constraint *fluxversion.Constraint) (*fluxversion.KnownReleases, error) {
	known := &fluxversion.KnownReleases{Embedded: version.ParseTags(c.embedded)}
	// One source that is down must not use up the time for the other. If all that is wanted is the latest, and it has been
	// known before, then the other is not needed.
	if c.oci != nil && (constraint.IsRange() || c.lastListing(c.server).found.IsZero()) {
		c.startList(c.oci)
	}
	latest, err := c.list(ctx, c.server)
	if err != nil {
		return nil, err
	}
	latest.addTo(known)
	if len(latest.versions) > 0 {
		known.Latest = latest.versions[0]
		if !constraint.IsRange() && constraint.Supports(known.Latest) {
			return known, nil
		}
	}
	if c.oci != nil {
		tags, err := c.list(ctx, c.oci)
		if err != nil {
			return nil, err
		}
		tags.addTo(known)
	}
	if c.directory != nil {
		tags, err := c.directory.Versions(ctx)
		(&listing{versions: version.ParseTags(tags), err: err}).addTo(known)
	}
	return known, nil
}

// startList begins to ask a source, and does not wait for it.
func (c *Catalogue) startList(source Source) {
	over, cancel := context.WithTimeoutCause(c.background, 0, ErrPending)
	defer cancel()
	_, _ = c.list(over, source)
}

// addTo adds what is known to what is known of other sources.
func (l *listing) addTo(known *fluxversion.KnownReleases) {
	known.Listed = append(known.Listed, l.versions...)
	switch {
	case l.err != nil && l.found.IsZero():
		known.Unlisted = append(known.Unlisted, l.err.Error())
	case l.err != nil:
		known.Unlisted = append(known.Unlisted, fmt.Sprintf("%v (its answer of %s is used)", l.err, l.found.UTC().Format(time.RFC3339)))
	}
}
