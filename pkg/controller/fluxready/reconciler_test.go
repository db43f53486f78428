// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

func TestUntilNextLook(t *testing.T) {
	for _, c := range []struct {
		name       string
		status     gardencorev1beta1.ConditionStatus
		unanswered int
		wait       time.Duration
	}{
		{"ready", gardencorev1beta1.ConditionTrue, 0, 30 * time.Second},
		{"not ready", gardencorev1beta1.ConditionFalse, 0, 30 * time.Second},
		{"under way", gardencorev1beta1.ConditionProgressing, 0, 10 * time.Second},
		{"no answer once", gardencorev1beta1.ConditionTrue, 1, 10 * time.Second},
		{"no answer, and that is told", gardencorev1beta1.ConditionUnknown, 3, 30 * time.Second},
		{"no answer for some time", gardencorev1beta1.ConditionUnknown, 4, time.Minute},
		{"no answer for a day", gardencorev1beta1.ConditionUnknown, 1000, 2 * time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			NewWithT(t).Expect((&reconciler{syncPeriod: DefaultSyncPeriod}).untilNextLook(c.status, c.unanswered)).To(Equal(c.wait))
		})
	}
}
