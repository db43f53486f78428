// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

func TestUntilNextCheck(t *testing.T) {
	for _, c := range []struct {
		name         string
		waited, wait time.Duration
	}{
		{"the clock of the shoot goes fast", -time.Minute, 2 * time.Second},
		{"just begun", 0, 2 * time.Second},
		{"a quick removal", 20 * time.Second, 2 * time.Second},
		{"some minutes", 3 * time.Minute, 18 * time.Second},
		{"ten minutes", 10 * time.Minute, time.Minute},
		{"a year", 365 * 24 * time.Hour, time.Minute},
		{"nobody knows since when", time.Since(time.Time{}), time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			NewWithT(t).Expect(untilNextCheck(c.waited)).To(Equal(c.wait))
		})
	}
}

func TestRequeueIsLaterForWhatIsStuck(t *testing.T) {
	g := NewWithT(t)
	after := func(err error) time.Duration {
		requeue, ok := errors.AsType[*reconcilerutils.RequeueAfterError](err)
		g.Expect(ok).To(BeTrue(), "%v", err)
		return requeue.RequeueAfter
	}
	stuck := errors.New("somebody holds it")
	g.Expect(requeueSoon(time.Now(), nil)).To(Succeed())
	g.Expect(after(requeueSoon(time.Now(), stuck))).To(Equal(2 * time.Second))
	g.Expect(after(requeueSoon(time.Now().Add(-time.Hour), stuck))).To(Equal(time.Minute))
	g.Expect(after(requeueUnfinished(fmt.Errorf("much to do: %w", &shoot.Unfinished{Kind: "Kustomization", Visited: 1})))).To(Equal(2 * time.Second))
	g.Expect(requeueUnfinished(stuck)).To(BeIdenticalTo(stuck))
}
