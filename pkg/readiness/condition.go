// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"k8s.io/utils/clock"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Condition returns the condition that says so. previous is what is said now, or nil.
func (r Readiness) Condition(previous *gardencorev1beta1.Condition) (gardencorev1beta1.Condition, error) {
	builder, err := v1beta1helper.NewConditionBuilder(fluxv1alpha1.FluxReady)
	if err != nil {
		return gardencorev1beta1.Condition{}, err
	}
	if previous != nil {
		builder = builder.WithOldCondition(*previous)
	}
	condition, _ := builder.WithClock(clock.RealClock{}).WithStatus(r.Status).WithReason(r.Reason).WithMessage(r.Message).Build()
	return condition, nil
}
