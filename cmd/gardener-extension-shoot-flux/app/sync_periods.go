// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/fluxready"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/healthcheck"
)

const (
	flagHealthCheckSyncPeriod = "healthcheck-sync-period"
	flagFluxReadySyncPeriod   = "fluxready-sync-period"

	// minSyncPeriod is the shortest period with which a controller rests now and then.
	minSyncPeriod = time.Second
)

// syncPeriods are how often the extension looks at each shoot though nothing tells it to.
type syncPeriods struct {
	healthCheck, fluxReady time.Duration
}

func (p *syncPeriods) addFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&p.healthCheck, flagHealthCheckSyncPeriod, healthcheck.DefaultSyncPeriod,
		"How often the health of what is installed in a shoot is looked at, and written to the Extension.")
	flags.DurationVar(&p.fluxReady, flagFluxReadySyncPeriod, fluxready.DefaultSyncPeriod,
		"How often the extension looks into a shoot whether Flux follows the repository, and three times as often while something is under way.")
}

func (p *syncPeriods) complete() error {
	for flag, period := range map[string]time.Duration{flagHealthCheckSyncPeriod: p.healthCheck, flagFluxReadySyncPeriod: p.fluxReady} {
		if period < minSyncPeriod {
			return fmt.Errorf("--%s=%s is too short: it must be at least %s", flag, period, minSyncPeriod)
		}
	}
	return nil
}
