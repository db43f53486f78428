// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// OfProblem is the readiness of a shoot that does not have what is configured. It comes before all that Flux says, which is
// about what was configured before.
func OfProblem(problem fluxv1alpha1.Problem, revision string) Readiness {
	status := gardencorev1beta1.ConditionFalse
	if problem.Reason == fluxv1alpha1.UnderWay {
		status = gardencorev1beta1.ConditionProgressing
	}
	return Readiness{Status: status, Reason: problem.Reason, Message: problem.Message, Revision: revision}
}
