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

func TestFluxReadySyncPeriod(t *testing.T) {
	for name, tc := range map[string]struct {
		args   []string
		period time.Duration
		error  string
	}{
		"by default":   {nil, 30 * time.Second, ""},
		"as chosen":    {[]string{"--fluxready-sync-period=1s"}, time.Second, ""},
		"never at all": {[]string{"--fluxready-sync-period=0s"}, 0, "--fluxready-sync-period=0s is too short: it must be at least 1s"},
		"all the time": {[]string{"--fluxready-sync-period=1ms"}, 0, "--fluxready-sync-period=1ms is too short: it must be at least 1s"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			options, flags := fluxReady{}, pflag.NewFlagSet("", pflag.ContinueOnError)
			options.addFlags(flags)
			g.Expect(flags.Parse(tc.args)).To(Succeed())
			if tc.error != "" {
				g.Expect(options.complete()).To(MatchError(tc.error))
				return
			}
			g.Expect(options.complete()).To(Succeed())
			g.Expect(options.syncPeriod).To(Equal(tc.period))
		})
	}
}
