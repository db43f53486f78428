// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// The pauses follow from the status alone, so that they are the same after a restart.
func TestNextTry(t *testing.T) {
	begun := time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		reason       string
		lasted, want time.Duration
	}{
		"it has just begun":              {fluxv1alpha1.NotAsConfigured, 0, 2 * time.Second},
		"it has lasted for a moment":     {fluxv1alpha1.NotAsConfigured, 3 * time.Second, 3 * time.Second},
		"it has lasted for a minute":     {fluxv1alpha1.NotAsConfigured, time.Minute, time.Minute},
		"it lasts for days":              {fluxv1alpha1.NotAsConfigured, 48 * time.Hour, 2 * time.Minute},
		"the clock went back":            {fluxv1alpha1.NotAsConfigured, -time.Hour, 2 * time.Second},
		"many objects are rewritten":     {fluxv1alpha1.UnderWay, time.Minute, 6 * time.Second},
		"the next step has just begun":   {fluxv1alpha1.UnderWay, 3 * time.Second, 2 * time.Second},
		"the next step never comes true": {fluxv1alpha1.UnderWay, 48 * time.Hour, 2 * time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			problem := &fluxv1alpha1.Problem{Reason: tc.reason, Since: metav1.NewTime(begun)}
			tried := begun.Add(tc.lasted)
			NewWithT(t).Expect(nextTry(problem, metav1.NewTime(tried)).Sub(tried)).To(Equal(tc.want))
		})
	}
}
