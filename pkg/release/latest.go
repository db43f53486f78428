// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"time"
)

// latestAnswer is what is known about the latest release.
type latestAnswer struct {
	// version and found tell what the last successful look-up said, and when. They outlive later failures.
	version string
	found   time.Time
	// err is the failure of the last look-up, or nil.
	err error
	// expires is when the next look-up is due.
	expires time.Time
	// served is the last release that was the answer to a request for the latest one.
	served *Release
}

func (c *Catalogue) getLatest(ctx context.Context) (*Resolved, error) {
	latest, err := c.lookUpLatest(ctx)
	if err != nil {
		return nil, err
	}
	if latest.version == "" {
		return c.fallBack(ctx, latest.served, fmt.Sprintf("The latest Flux release can't be looked up: %v", latest.err))
	}

	release, err := c.get(ctx, latest.version)
	switch {
	case err != nil && ctx.Err() != nil:
		return nil, err
	case err != nil:
		return c.fallBack(ctx, latest.served, fmt.Sprintf("The latest Flux release is %s, but can't be used: %v", latest.version, err))
	}
	c.mutex.Lock()
	c.latest.served = release
	c.mutex.Unlock()

	resolved := &Resolved{Release: release}
	if latest.err != nil {
		resolved.Warning = fmt.Sprintf("The latest Flux release can't be looked up: %v; release %s, which was the latest one at %s, is used",
			latest.err, latest.version, latest.found.UTC().Format(time.RFC3339))
	}
	return resolved, nil
}

// fallBack answers with the release that was served last, or else the newest embedded one.
func (c *Catalogue) fallBack(ctx context.Context, served *Release, problem string) (*Resolved, error) {
	if served != nil {
		return &Resolved{Release: served, Warning: fmt.Sprintf("%s; release %s is used instead", problem, served.Version)}, nil
	}
	release, err := c.get(ctx, c.embedded[0])
	if err != nil {
		return nil, err
	}
	return &Resolved{Release: release, Warning: fmt.Sprintf("%s; the embedded release %s is used instead", problem, release.Version)}, nil
}

// lookUpLatest returns what is known about the latest release, after a look-up if one is due. It fails only if the
// context ends.
func (c *Catalogue) lookUpLatest(ctx context.Context) (latestAnswer, error) {
	if latest := c.knownLatest(); c.now().Before(latest.expires) {
		return latest, nil
	}
	flight := c.flights.DoChan(Latest, func() (any, error) {
		// The flight before this one can have ended after the look above.
		if latest := c.knownLatest(); c.now().Before(latest.expires) {
			return latest, nil
		}
		version, err := c.server.latest(context.Background())
		return c.keepLatest(version, err), nil
	})
	select {
	case <-ctx.Done():
		return latestAnswer{}, fmt.Errorf("waiting for the latest Flux release: %w", ctx.Err())
	case result := <-flight:
		return result.Val.(latestAnswer), nil
	}
}

func (c *Catalogue) knownLatest() latestAnswer {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return c.latest
}

func (c *Catalogue) keepLatest(version string, err error) latestAnswer {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.latest.err = err
	if err != nil {
		c.latest.expires = c.after(c.options.FailureInterval)
	} else {
		c.latest.version, c.latest.found = version, c.now()
		c.latest.expires = c.after(c.options.LatestInterval)
	}
	return c.latest
}
