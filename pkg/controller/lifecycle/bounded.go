// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"

	"github.com/go-logr/logr"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// boundedActuator bounds the errors of an actuator. What an API server, a webhook or a Git server of somebody else's answers can be of any
// length, and Gardener's library writes an error as it is, twice into the Extension of the seed at each try, and into the log.
type boundedActuator struct {
	extension.Actuator
}

// Reconcile implements extension.Actuator.
func (b boundedActuator) Reconcile(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return bounded(b.Actuator.Reconcile(ctx, log, ex))
}

// Delete implements extension.Actuator.
func (b boundedActuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return bounded(b.Actuator.Delete(ctx, log, ex))
}

// ForceDelete implements extension.Actuator.
func (b boundedActuator) ForceDelete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return bounded(b.Actuator.ForceDelete(ctx, log, ex))
}

// Migrate implements extension.Actuator.
func (b boundedActuator) Migrate(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return bounded(b.Actuator.Migrate(ctx, log, ex))
}

// Restore implements extension.Actuator.
func (b boundedActuator) Restore(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return bounded(b.Actuator.Restore(ctx, log, ex))
}

// boundedError is an error with another text. Its codes are found in what it wraps.
type boundedError struct {
	error
	text string
}

func (b *boundedError) Error() string { return b.text }

func (b *boundedError) Unwrap() error { return b.error }

// bounded gives an error a text that can be stored. Gardener's library asks for the type of the outermost error when it decides whether to
// try again soon, so that this stays.
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
