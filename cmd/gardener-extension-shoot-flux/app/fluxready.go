// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"time"

	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/fluxready"
)

const (
	flagFluxReadySyncPeriod = "fluxready-sync-period"

	// minSyncPeriod is the shortest period with which a controller rests now and then.
	minSyncPeriod = time.Second
)

// fluxReady is how often the extension looks into a shoot.
type fluxReady struct {
	syncPeriod time.Duration
}

func (f *fluxReady) addFlags(flags *pflag.FlagSet) {
	flags.DurationVar(&f.syncPeriod, flagFluxReadySyncPeriod, fluxready.DefaultSyncPeriod,
		"How often the extension looks into a shoot whether Flux follows the repository: three times as often while something is under way, and less and less often, "+
			"down to a sixth, where nothing changes.")
}

func (f *fluxReady) complete() error {
	if f.syncPeriod < minSyncPeriod {
		return fmt.Errorf("--%s=%s is too short: it must be at least %s", flagFluxReadySyncPeriod, f.syncPeriod, minSyncPeriod)
	}
	return nil
}
