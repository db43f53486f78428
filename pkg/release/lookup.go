// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
)

// lookUp is a question about which releases there are. It is asked once per interval for the whole process.
type lookUp struct {
	// what is asked for, and where.
	what, where string
	ask         func(context.Context) ([]string, error)

	mutex sync.Mutex
	known lookedUp
}

// lookedUp is what is known about the answer to a look-up. The zero value stands for one that was never made.
type lookedUp struct {
	// versions and found tell what the last successful look-up said, and when. They outlive later failures.
	versions semver.Collection
	found    time.Time
	// err is the failure of the last look-up, or nil.
	err error
	// expires is when the next look-up is due.
	expires time.Time
}

func (l *lookUp) recall() lookedUp {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.known
}

func (l *lookUp) keep(known lookedUp) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.known = known
}

// gap says what is not up to date about the answer, or is empty.
func (l *lookedUp) gap() string {
	switch {
	case l.err == nil:
		return ""
	case l.found.IsZero():
		return l.err.Error()
	default:
		return fmt.Sprintf("%v (its answer of %s is used)", l.err, l.found.UTC().Format(time.RFC3339))
	}
}

// look returns what is known after a look-up, if one is due. A caller that loses patience gets what was known before,
// or ErrPending if that is nothing.
func (c *Catalogue) look(ctx context.Context, patience <-chan struct{}, l *lookUp) (lookedUp, error) {
	known := l.recall()
	if c.now().Before(known.expires) {
		return known, nil
	}
	found, err := await(ctx, patience, &c.flights, l.what, func() (lookedUp, error) {
		return c.refresh(l), nil
	})
	if errors.Is(err, ErrPending) && !known.expires.IsZero() {
		if known.err == nil {
			known.err = fmt.Errorf("%s has not answered yet", l.where)
		}
		return known, nil
	}
	return found, err
}

func (c *Catalogue) refresh(l *lookUp) lookedUp {
	known := l.recall()
	// The flight before this one can have ended after the caller looked.
	if c.now().Before(known.expires) {
		return known
	}
	c.flights.report(l.what, l.where, c.now())
	tags, err := l.ask(c.background)
	if known.err = err; err != nil {
		c.failedLookUps.Add(1)
		known.expires = c.after(c.options.FailureInterval)
	} else {
		c.answeredLookUps.Add(1)
		known.versions, known.found = parseTags(tags), c.now()
		known.expires = c.after(c.options.LatestInterval)
	}
	l.keep(known)
	return known
}
