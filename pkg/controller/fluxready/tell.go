// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"fmt"

	apiequality "k8s.io/apimachinery/pkg/api/equality"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// tell writes condition FluxReady and the revision into the Extension if they are not what it says already.
func (r *reconciler) tell(ctx context.Context, ex *extensionsv1alpha1.Extension, now readiness.Readiness) error {
	before := ex.DeepCopy()
	if previous := conditionOf(ex); now.Replaces(previous) {
		if err := setCondition(ex, previous, now); err != nil {
			return err
		}
	}
	if err := setRevision(ex, now.Revision); err != nil {
		return err
	}
	if apiequality.Semantic.DeepEqual(before.Status, ex.Status) {
		return nil
	}
	if r.setHealth != nil {
		if err := r.setHealth(ctx, ex); err != nil {
			return err
		}
	}
	// Gardener's library writes all conditions too.
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	if err := r.seed.Status().Patch(ctx, ex, patch); err != nil {
		return fmt.Errorf("failed to write condition %s of Extension %s in the seed: %w", fluxv1alpha1.FluxReady, client.ObjectKeyFromObject(ex), err)
	}
	return nil
}

func setCondition(ex *extensionsv1alpha1.Extension, previous *gardencorev1beta1.Condition, now readiness.Readiness) error {
	condition, err := now.Condition(previous)
	if err != nil {
		return err
	}
	ex.Status.Conditions = v1beta1helper.MergeConditions(ex.Status.Conditions, condition)
	return nil
}

// setRevision leaves an Extension alone of which nothing has been said yet.
func setRevision(ex *extensionsv1alpha1.Extension, revision string) error {
	status := fluxv1alpha1.StatusOf(ex)
	if status.Kind == "" || status.Revision == revision {
		return nil
	}
	status.Revision = revision
	return fluxv1alpha1.SetStatus(ex, status)
}

func conditionOf(ex *extensionsv1alpha1.Extension) *gardencorev1beta1.Condition {
	return v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady)
}
