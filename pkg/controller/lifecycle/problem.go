// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// failure is an error that gardenlet is told in any case, so that it stops: about the seed, which an operator has to look after, or
// about something that gardenlet itself mends when it tries again.
type failure struct{ error }

func (f failure) Unwrap() error { return f.error }

// mustFail marks an error as a failure.
func mustFail(err error) error {
	if err == nil {
		return nil
	}
	return failure{err}
}

// reportResult decides what gardenlet is told of a reconciliation. gardenlet waits for the Extension before it goes on with the Shoot, and
// gives the Shoot up after some tries. So a shoot that has Flux does not stop it because of somebody's mistake: what is wrong is
// told in the status, and the controller retrier tries again. A shoot that has nothing yet has nothing to go on with.
func (r *reconciliation) reportResult(ctx context.Context, err error) error {
	if err == nil {
		return r.writeProblem(ctx, nil)
	}
	if failed := (failure{}); errors.As(err, &failed) {
		return reconcilerutils.ReconcileErrCauseOrErr(failed.error)
	}
	problem := &fluxv1alpha1.Problem{Reason: fluxv1alpha1.NotAsConfigured, Since: metav1.Now().Rfc3339Copy()}
	if again := (*reconcilerutils.RequeueAfterError)(nil); errors.As(err, &again) {
		if !r.observed.wasInstalled() && fluxv1alpha1.StatusOf(r.extension).Version == "" { // it has nothing yet that a status could speak of
			return again
		}
		problem.Reason, err = fluxv1alpha1.UnderWay, reconcilerutils.ReconcileErrCauseOrErr(again)
	} else if !r.observed.wasInstalled() {
		return err
	}
	problem.Message = boundedText(err)
	if before := fluxv1alpha1.StatusOf(r.extension).Problem; before == nil || before.Reason != problem.Reason || before.Message != problem.Message {
		r.log.Info("The shoot does not have what is configured, and keeps what it had", "reason", problem.Reason, "problem", problem.Message)
	}
	return r.writeProblem(ctx, problem)
}

// writeProblem says in the status what keeps the shoot from what is configured, or, with nil, that nothing does.
func (r *reconciliation) writeProblem(ctx context.Context, problem *fluxv1alpha1.Problem) error {
	status := fluxv1alpha1.StatusOf(r.extension)
	if problem != nil {
		if status.Problem != nil && status.Problem.Reason == problem.Reason {
			problem.Since = status.Problem.Since
		}
		if status.Version == "" { // the shoot has just come from another seed
			status.Version = r.observed.state.FluxVersion
			setNamespaces(&status, r.observed.state.Namespace, followedNamespaces(r.observed.state)...)
		}
		if isRestoring(r.extension) {
			status.ResolvedFor = r.extension.Annotations[v1beta1constants.GardenerTimestamp]
		}
	}
	status.Problem = problem
	return r.writeStatus(ctx, status)
}
