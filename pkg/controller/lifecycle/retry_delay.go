// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"time"

	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// firstRetryDelay is long enough for gardener-resource-manager to have done something, because each try is written to the
	// Extension's status. (Gardener's library gives a reconciliation no other way to ask for being repeated than an error.)
	firstRetryDelay = 500 * time.Millisecond
	// maxRetryDelay bounds the back-off of a failed reconciliation, so that a shoot heals soon after the project's
	// configuration has been repaired.
	maxRetryDelay = 30 * time.Second

	// checkInterval is how soon the controller looks again whether others have done what it waits for. If they take long, it
	// looks less and less often, down to maxCheckInterval.
	checkInterval    = 2 * time.Second
	maxCheckInterval = time.Minute
	// sleepingCheckInterval is how soon the controller looks again whether a shoot has woken up. It hardly matters: gardenlet
	// touches a stale Extension whenever it reconciles the Shoot.
	sleepingCheckInterval = 5 * time.Minute
	// otherFluxCheckInterval is how soon the controller looks again whether another Flux still runs.
	otherFluxCheckInterval = 15 * time.Second
)

// requeueSoon makes the controller come back soon, instead of waiting in its worker: the sooner, the shorter the time since something last
// happened. That is read from what it waits for, so that a restart changes nothing. (Gardener's library understands it when
// something is deleted, but not when it is reconciled.)
func requeueSoon(since time.Time, err error) error {
	if err == nil {
		return nil
	}
	return &reconcilerutils.RequeueAfterError{RequeueAfter: untilNextCheck(time.Since(since)), Cause: err}
}

// untilNextCheck is a tenth of the time that has been waited, within limits.
func untilNextCheck(waited time.Duration) time.Duration {
	return min(max(waited/10, checkInterval), maxCheckInterval)
}

// requeueUnfinished makes the controller come back soon if an error says that there is more to do.
func requeueUnfinished(err error) error {
	if _, unfinished := errors.AsType[*shoot.Unfinished](err); unfinished {
		return requeueSoon(time.Now(), err)
	}
	return err
}
