// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// boundedError is an error with another text. Its codes are found in what it wraps.
type boundedError struct {
	error
	text string
}

func (b *boundedError) Error() string { return b.text }

func (b *boundedError) Unwrap() error { return b.error }

// bounded gives an error a text that can be stored. What an API server, a webhook or a Git server of somebody else's answers can be of any
// length, and Gardener's library writes an error as it is, twice into the Extension of the seed at each try, and into the log. Gardener's
// library asks for the type of the outermost error when it decides whether to try again soon, so that this stays.
func bounded(err error) error {
	if err == nil {
		return nil
	}
	if again, failed := reconcilerutils.ReconcileErr(err); failed == nil {
		return &reconcilerutils.RequeueAfterError{RequeueAfter: again.RequeueAfter, Cause: bounded(reconcilerutils.ReconcileErrCause(err))}
	}
	return &boundedError{text: boundedText(err), error: err}
}

// boundedText is what can be told of an error: one line, in the length of all that people are told.
func boundedText(err error) string {
	return readiness.Shorten(readiness.Normalise(err.Error()), readiness.MaxMessage)
}
