// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// flights are what is under way, one for all who wait for the same. A caller can lose patience: the flight goes on.
type flights struct {
	group singleflight.Group
	mutex sync.Mutex
	// progress is by what the flight is for.
	progress map[string]progress
}

type progress struct {
	where string
	since time.Time
}

// await waits for the one flight for what is wanted, which does the work if there is none yet. It fails with ErrPending
// if the patience ends before, and with the error of the context if that does.
func await[T any](ctx context.Context, patience <-chan struct{}, flights *flights, what string, work func() (T, error)) (T, error) {
	flight := flights.group.DoChan(what, func() (any, error) {
		defer flights.landed(what)
		return work()
	})
	var nothing T
	select {
	case result := <-flight:
		return result.Val.(T), result.Err
	case <-ctx.Done():
		return nothing, fmt.Errorf("waiting for %s: %w", what, ctx.Err())
	case <-patience:
		return nothing, flights.pending(what)
	}
}

// report says where a flight now asks.
func (f *flights) report(what, where string, now time.Time) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	if f.progress == nil {
		f.progress = map[string]progress{}
	}
	at, ok := f.progress[what]
	if !ok {
		at.since = now
	}
	at.where = where
	f.progress[what] = at
}

func (f *flights) landed(what string) {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	delete(f.progress, what)
}

func (f *flights) pending(what string) error {
	f.mutex.Lock()
	defer f.mutex.Unlock()
	from := ""
	if at, ok := f.progress[what]; ok {
		from = fmt.Sprintf(" from %s since %s", at.where, at.since.UTC().Format(time.RFC3339))
	}
	return &failure{kind: ErrPending, sentence: fmt.Sprintf(
		"Waiting for %s%s: this goes on in the background, and Gardener asks for it again by itself", what, from)}
}
