// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package seed_test

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
)

func TestIsUnderWay(t *testing.T) {
	operation := func(state gardencorev1beta1.LastOperationState, age time.Duration) *gardencorev1beta1.LastOperation {
		return &gardencorev1beta1.LastOperation{State: state, LastUpdateTime: metav1.NewTime(time.Now().Add(-age))}
	}
	for name, test := range map[string]struct {
		last *gardencorev1beta1.LastOperation
		want bool
	}{
		"there was none":           {nil, false},
		"it has begun":             {operation(gardencorev1beta1.LastOperationStateProcessing, time.Second), true},
		"it has been interrupted":  {operation(gardencorev1beta1.LastOperationStateProcessing, time.Hour), false},
		"it has ended":             {operation(gardencorev1beta1.LastOperationStateSucceeded, time.Second), false},
		"it has failed and begins": {operation(gardencorev1beta1.LastOperationStateError, time.Second), false},
	} {
		t.Run(name, func(t *testing.T) {
			ex := &extensionsv1alpha1.Extension{}
			ex.Status.LastOperation = test.last
			NewWithT(t).Expect(seed.IsUnderWay(ex)).To(Equal(test.want))
		})
	}
}
