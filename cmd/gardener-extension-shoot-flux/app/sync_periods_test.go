// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"
)

func TestSyncPeriods(t *testing.T) {
	for name, tc := range map[string]struct {
		args    []string
		periods syncPeriods
		error   string
	}{
		"by default":   {nil, syncPeriods{healthCheck: 30 * time.Second, fluxReady: 30 * time.Second}, ""},
		"as chosen":    {[]string{"--healthcheck-sync-period=1m", "--fluxready-sync-period=1s"}, syncPeriods{healthCheck: time.Minute, fluxReady: time.Second}, ""},
		"never at all": {[]string{"--fluxready-sync-period=0s"}, syncPeriods{}, "--fluxready-sync-period=0s is too short: it must be at least 1s"},
		"all the time": {[]string{"--healthcheck-sync-period=1ms"}, syncPeriods{}, "--healthcheck-sync-period=1ms is too short: it must be at least 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			periods, flags := syncPeriods{}, pflag.NewFlagSet("", pflag.ContinueOnError)
			periods.addFlags(flags)
			g.Expect(flags.Parse(tc.args)).To(Succeed())
			if tc.error != "" {
				g.Expect(periods.complete()).To(MatchError(tc.error))
				return
			}
			g.Expect(periods.complete()).To(Succeed())
			g.Expect(periods).To(Equal(tc.periods))
		})
	}
}
