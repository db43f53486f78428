// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"time"

	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// otherFluxCheckInterval is how soon the controller looks again whether another Flux still runs.
const otherFluxCheckInterval = 15 * time.Second

// checkOnlyFlux keeps a removal from what would make another Flux of the shoot delete what it has deployed. Nobody tells when that is
// stopped, so it is looked again now and then.
func (a *Actuator) checkOnlyFlux(ctx context.Context, namespace string) error {
	shootClient, err := shoot.NewClient(ctx, a.Seed, namespace)
	if err != nil {
		return err
	}
	err = removalFrom(shootClient).CheckOnlyFlux(ctx)
	if _, other := errors.AsType[*removal.OtherFluxError](err); other {
		return &reconcilerutils.RequeueAfterError{RequeueAfter: otherFluxCheckInterval, Cause: err}
	}
	return explain(err)
}
