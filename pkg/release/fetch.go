// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/directory"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/server"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// listing is what is known about the releases that a source has. The zero value stands for a source that was never asked.
type listing struct {
	// versions and found tell what the source last answered, and when. They outlive later failures.
	versions []*semver.Version
	found    time.Time
	// err is the failure of the last look-up, or nil.
	err error
	// expires is when the source is to be asked again.
	expires time.Time
}

// limit bounds the time for which a caller waits.
func (c *Catalogue) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, c.options.WaitLimit, ErrPending)
}

// await waits for what fetch returns, which is called once for all who wait for the same, and goes on without them when their context
// ends. The error is then ErrPending if that was due to the limit.
func await[T any](ctx context.Context, c *Catalogue, what string, fetch func() (T, error)) (T, error) {
	result := c.inFlight.DoChan(what, func() (any, error) {
		defer c.setProgress(what, "")
		return fetch()
	})
	var nothing T
	select {
	case found := <-result:
		return found.Val.(T), found.Err
	case <-ctx.Done():
	}
	if !errors.Is(context.Cause(ctx), ErrPending) {
		return nothing, fmt.Errorf("waiting for %s: %w", what, ctx.Err())
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return nothing, failure.New(ErrPending, fmt.Sprintf(
		"Waiting for %s%s: this goes on in the background, and Gardener asks for it again by itself", what, c.progress[what]))
}

// setProgress says where something is asked for now, or, with an empty location, that it no longer is.
func (c *Catalogue) setProgress(what, location string) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if location == "" {
		delete(c.progress, what)
		return
	}
	c.progress[what] = fmt.Sprintf(" from %s since %s", location, c.options.clock.Now().UTC().Format(time.RFC3339))
}

// fetch takes a release from a source. It has no context of a caller: what it does is for all who ask for the version.
func (c *Catalogue) fetch(source Source, tag string) (found *Release, err error) {
	err = c.try(c.options.DownloadTimeout, func(ctx context.Context) error {
		manifests, reference, err := source.Get(ctx, tag)
		if err != nil {
			return err
		}
		found, err = newRelease(tag, source.Origin(), reference, manifests)
		return err
	})
	if err == nil {
		c.cache.keep(found)
		return found, nil
	}
	isLocal := source.Origin() == embedded.Origin || source.Origin() == directory.Origin
	if !isLocal && !errors.Is(err, failure.ErrNotFound) && !errors.Is(err, failure.ErrLocal) {
		c.cache.count(func(stats *Stats) { stats.FailedDownloads++ })
	}
	return nil, err
}

// list returns which releases a source has. It is asked once per interval for the whole process. If that takes too long, it is what was
// known before, or ErrPending if that is nothing.
func (c *Catalogue) list(ctx context.Context, source Source) (listing, error) {
	known := c.lastListing(source)
	if c.options.clock.Now().Before(known.expires) {
		return known, nil
	}
	what := "the Flux releases in " + source.Location("")
	if source.Origin() == server.Origin {
		what = "the latest Flux release"
	}
	found, err := await(ctx, c, what, func() (listing, error) { return c.lookUp(source, what), nil })
	if errors.Is(err, ErrPending) && !known.expires.IsZero() {
		if known.err == nil {
			known.err = fmt.Errorf("%s has not answered yet", source.Location(""))
		}
		return known, nil
	}
	return found, err
}

func (c *Catalogue) lastListing(source Source) listing {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.listings[source]
}

func (c *Catalogue) lookUp(source Source, what string) listing {
	known, now := c.lastListing(source), c.options.clock.Now()
	// What was in flight before can have ended after the caller looked.
	if now.Before(known.expires) {
		return known
	}
	c.setProgress(what, source.Location(""))
	known.err = c.try(c.options.LookupTimeout, func(ctx context.Context) error {
		tags, err := source.Versions(ctx)
		if err == nil {
			known.versions, known.found = version.ParseTags(tags), now
		}
		return err
	})
	interval := c.options.LatestInterval
	if known.err != nil {
		interval = c.options.FailureInterval
	}
	known.expires = c.options.clock.Now().Add(jitter(interval))
	c.cache.count(func(stats *Stats) {
		stats.LookUps++
		if known.err != nil {
			stats.FailedLookUps++
		}
	})
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.listings[source] = known
	return known
}

func jitter(interval time.Duration) time.Duration {
	return wait.Jitter(interval, 0.1)
}

// try asks a source, and again after transient failures, unless the time that the server asks to wait is beyond the timeout. It returns the
// error of the last time.
func (c *Catalogue) try(timeout time.Duration, ask func(context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(c.background, timeout, fmt.Errorf("no complete answer within %s", timeout))
	defer cancel()
	// Together less than two seconds: a server that is down is known to be so within the limit for those who wait.
	backoff := wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3}
	for {
		err := ask(ctx)
		if !errors.Is(err, failure.ErrTransient) || backoff.Steps == 0 {
			return err
		}
		next := backoff.Step()
		if status := (*download.StatusError)(nil); errors.As(err, &status) {
			next = max(next, status.RetryAfter)
		}
		if deadline, _ := ctx.Deadline(); time.Until(deadline) < next || c.options.pause(ctx, next) != nil {
			return err
		}
	}
}

func pause(ctx context.Context, duration time.Duration) error {
	timer := time.NewTimer(duration)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
