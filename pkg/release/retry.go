// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"
)

// transientError marks a failure that can pass by itself within seconds.
type transientError struct {
	error
	// retryAfter is how long the server asks to wait, or zero.
	retryAfter time.Duration
}

func (t *transientError) Unwrap() error { return t.error }

// retries makes up for transient failures.
type retries struct {
	backoff wait.Backoff
	// pause waits, but not longer than the context lasts.
	pause func(context.Context, time.Duration) error
}

func newRetries() *retries {
	return &retries{
		// Together less than two seconds: a server that is down is known to be so before a caller loses patience.
		backoff: wait.Backoff{Duration: 200 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 3},
		pause:   pause,
	}
}

// do makes attempts until one does not end in a transient failure, there were enough of them, or the time that the
// server asks to wait is beyond the context's deadline. It returns the error of the last one.
func (r *retries) do(ctx context.Context, attempt func() error) error {
	backoff := r.backoff
	for {
		err := attempt()
		var transient *transientError
		if !errors.As(err, &transient) || backoff.Steps == 0 {
			return err
		}
		next := max(backoff.Step(), transient.retryAfter)
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < next {
			return err
		}
		if r.pause(ctx, next) != nil {
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
