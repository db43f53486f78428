// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// reportNotices makes events of the notices that people don't know yet, about the Extension in the seed and about the Shoot in the
// garden, and notes that at the Extension. If it is stopped in between, the same events are made once more, which is noticed. What fails for one
// shoot does not keep it from the others. conflict tells that somebody else has just written an Extension.
func (r *Reporter) reportNotices(ctx context.Context, noticed []shootEntry) (conflict bool, err error) {
	var failed []error
	for _, entry := range noticed {
		switch err := r.reportNoticesOf(ctx, entry); {
		case apierrors.IsConflict(err):
			conflict = true
		case err != nil:
			failed = append(failed, err)
		}
	}
	return conflict, errors.Join(failed...)
}

func (r *Reporter) reportNoticesOf(ctx context.Context, entry shootEntry) error {
	status := fluxv1alpha1.StatusOf(entry.extension)
	for _, notice := range status.UnreportedNotices() {
		// The seed first: it can be reached.
		if err := r.create(ctx, r.seed, eventOf(notice), extensionReference(entry.extension)); err != nil {
			return err
		}
		gardenClient, err := r.garden.Client(ctx)
		if err != nil {
			return err
		}
		if err := r.create(ctx, gardenClient, eventOf(notice), ShootReference(entry.shoot)); err != nil {
			return err
		}
	}
	return r.noteReported(ctx, entry.extension)
}

// noteReported fails if somebody else has written the status: the next try reads it anew.
func (r *Reporter) noteReported(ctx context.Context, ex *extensionsv1alpha1.Extension) error {
	patch := client.MergeFromWithOptions(ex.DeepCopy(), client.MergeFromWithOptimisticLock{})
	status := fluxv1alpha1.StatusOf(ex)
	for i := range status.Notices {
		status.Notices[i].Reported = true
	}
	if err := fluxv1alpha1.SetStatus(ex, status); err != nil {
		return err
	}
	if err := r.seed.Status().Patch(ctx, ex, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to note at Extension %s of the seed what has been reported: %w", client.ObjectKeyFromObject(ex), err)
	}
	return nil
}

// create creates an event. What will be refused again is not an error: there would be no end of it.
func (r *Reporter) create(ctx context.Context, cluster client.Writer, event Event, regarding corev1.ObjectReference) error {
	err := event.Create(ctx, cluster, regarding)
	if err == nil || r.missingRights.explain(r.log, err) {
		return nil
	}
	if isRefused(err) {
		r.log.Error(err, "An event is not made", "reason", event.Reason, "namespace", regarding.Namespace, "name", regarding.Name)
		return nil
	}
	return err
}

// isRefused tells whether an API server has understood a request and will not do it.
func isRefused(err error) bool {
	return apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || apierrors.IsNotFound(err) ||
		apierrors.IsMethodNotSupported(err) || apierrors.IsRequestEntityTooLargeError(err)
}
