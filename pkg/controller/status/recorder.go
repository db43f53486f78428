// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/events"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/status"
)

// maxQueue is how many events wait to be told while the garden is slow. What comes on top is only in the seed.
const maxQueue = 256

// toldEvent is an event about an Extension that is to be told about its Shoot.
type toldEvent struct {
	namespace string
	event     status.Event
}

// Recorder returns a recorder that records as the given one does, and also tells in the garden, about the Shoot, what it records
// about an Extension. It does not wait for the garden.
func (t *Teller) Recorder(recorder events.EventRecorder) events.EventRecorder {
	return &forwardingRecorder{EventRecorder: recorder, teller: t}
}

type forwardingRecorder struct {
	events.EventRecorder
	teller *Teller
}

// Eventf implements events.EventRecorder.
func (r *forwardingRecorder) Eventf(regarding, related runtime.Object, eventType, reason, action, note string, args ...any) {
	r.EventRecorder.Eventf(regarding, related, eventType, reason, action, note, args...)
	ex, ok := regarding.(*extensionsv1alpha1.Extension)
	if !ok {
		return
	}
	select {
	case r.teller.queue <- toldEvent{ex.Namespace, status.Event{Type: eventType, Reason: reason, Note: fmt.Sprintf(note, args...)}}:
	default:
		r.teller.log.Info("Too much has happened to tell all of it in the garden", "namespace", ex.Namespace, "reason", reason)
	}
}

// Start implements manager.Runnable: it tells the recorded events until the context is done.
func (t *Teller) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case queued := <-t.queue:
			t.forward(ctx, queued)
		}
	}
}

func (t *Teller) forward(ctx context.Context, queued toldEvent) {
	cluster := &extensionsv1alpha1.Cluster{}
	if err := t.seed.Get(ctx, client.ObjectKey{Name: queued.namespace}, cluster); err != nil {
		return // the shoot has gone
	}
	shoot := shootOf(cluster)
	if shoot == nil {
		return
	}
	gardenClient, err := t.access.Client(ctx)
	if err != nil {
		t.log.Error(err, "People are not told what happened", "reason", queued.event.Reason)
		return
	}
	t.tellEvent(ctx, gardenClient, *shoot, queued.event)
}
