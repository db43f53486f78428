// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	// sliceDuration is how long one slice holds a worker. The requests that are under way are finished.
	sliceDuration = 3 * time.Second
	// parallel is how many objects are worked on at the same time.
	parallel = 8
)

// Unfinished is the error of work that has come to the end of its slice, and goes on with the next one.
type Unfinished struct {
	// Kind is the kind of the objects that are being worked on.
	Kind string
	// Visited is how many objects of the kind have been worked on, and Remaining how many are to be, or 0 if that is not known.
	Visited, Remaining int64
}

// Error says how far it is.
func (u *Unfinished) Error() string {
	if u.Remaining == 0 {
		return fmt.Sprintf("%d objects of kind %s are done, and it goes on by itself", u.Visited, u.Kind)
	}
	return fmt.Sprintf("%d of about %d objects of kind %s are done, and it goes on by itself", u.Visited, u.Visited+u.Remaining, u.Kind)
}

// Slice bounds the time of what is done for one shoot in one try. The zero Slice does not end.
type Slice struct {
	end time.Time
}

// NewSlice returns a slice that begins now.
func NewSlice() Slice {
	return Slice{end: time.Now().Add(sliceDuration)}
}

// Over tells whether the slice has ended.
func (s Slice) Over() bool {
	return !s.end.IsZero() && !time.Now().Before(s.end)
}

// Do does something for each of a number of items, for several at the same time, until the slice is over or an item fails. It returns how
// many are done: all before the first one that is not, at which the next slice can go on. How slow the shoot may be, the first few items are
// done also if the slice is over, so that each try gets on; and no item takes longer than a request may. What is under way is finished.
func (s Slice) Do(ctx context.Context, count int, do func(ctx context.Context, i int) error) (int, error) {
	items := &items{count: count, failed: count}
	var group sync.WaitGroup
	for range min(parallel, count) {
		group.Go(func() {
			for i, ok := items.take(ctx, s); ok; i, ok = items.take(ctx, s) {
				limited, cancel := context.WithTimeout(ctx, requestTimeout)
				items.note(i, do(limited, i))
				cancel()
			}
		})
	}
	group.Wait()
	if items.err == nil && items.next < count {
		items.err = ctx.Err()
	}
	return min(items.next, items.failed), items.err
}

// items are taken in their order, so that all before the first one that fails are done.
type items struct {
	mutex       sync.Mutex
	count, next int
	// failed is the first one that has failed, with its error.
	failed int
	err    error
}

func (t *items) take(ctx context.Context, slice Slice) (int, bool) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if t.next == t.count || t.err != nil || ctx.Err() != nil || t.next >= parallel && slice.Over() {
		return 0, false
	}
	t.next++
	return t.next - 1, true
}

func (t *items) note(i int, err error) {
	t.mutex.Lock()
	defer t.mutex.Unlock()
	if err != nil && i < t.failed {
		t.failed, t.err = i, err
	}
}
