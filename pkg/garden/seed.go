// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
)

const (
	// stopAge is how old the knowledge of an emergency stop may be.
	stopAge = 30 * time.Second
	// stopTimeout is how long a garden that does not answer keeps others from going on.
	stopTimeout = 5 * time.Second
)

// EmergencyStop knows whether an operator has stopped all reconciliations of the shoots of a seed, by an annotation of the Seed in
// the garden (docs/operations/seed_settings.md of Gardener). gardenlet does nothing then, and so does not tell the seed about it
// either. It is safe for concurrent use, and asks the garden only when somebody wants to know.
type EmergencyStop struct {
	// Access is the way into the garden.
	Access *Access
	// Log takes what keeps the Seed from being read.
	Log logr.Logger

	mutex           sync.Mutex
	asked           time.Time
	asking, stopped bool
	failureReported bool
}

// Holds tells whether the reconciliations of the shoots of the seed are stopped. It never waits: known is false as long as the
// garden has not been asked lately, which then goes on in the background. A garden that does not tell, because it can't be reached or
// gives no right to read the Seed, changes nothing.
func (e *EmergencyStop) Holds(ctx context.Context, seed string) (stopped, known bool) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	known = time.Since(e.asked) <= stopAge
	if !known && !e.asking {
		e.asking = true
		go e.ask(context.WithoutCancel(ctx), seed)
	}
	return e.stopped, known
}

func (e *EmergencyStop) ask(ctx context.Context, seed string) {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	stopped, err := e.read(ctx, seed)

	e.mutex.Lock()
	defer e.mutex.Unlock()
	e.asking, e.asked = false, time.Now()
	if err == nil {
		e.stopped, e.failureReported = stopped, false
	} else if !e.failureReported {
		e.failureReported = true
		e.Log.Info("Whether an operator has stopped the reconciliations of the seed's shoots is not known, and they go on; this is said once", "error", err.Error())
	}
}

func (e *EmergencyStop) read(ctx context.Context, name string) (bool, error) {
	garden, err := e.Access.Client(ctx)
	if err != nil {
		return false, err
	}
	seed := &metav1.PartialObjectMetadata{}
	seed.SetGroupVersionKind(gardencorev1beta1.SchemeGroupVersion.WithKind("Seed"))
	if err := garden.Get(ctx, client.ObjectKey{Name: name}, seed); err != nil {
		return false, fmt.Errorf("failed to read Seed %s in the garden: %w", name, err)
	}
	return seed.Annotations[v1beta1constants.AnnotationEmergencyStopShootReconciliations] == "true", nil
}
