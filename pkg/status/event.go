// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const (
	// reportingController is what the policy of the garden lets the extension call itself in events.
	reportingController = "gardener-extension-shoot-flux"
)

// Shoot is a Shoot in the garden.
type Shoot struct {
	// Namespace is that of the project.
	Namespace string
	// Name is the name of the Shoot.
	Name string
	// UID is the Shoot's UID.
	UID types.UID
}

// Event is something to tell about a Shoot.
type Event struct {
	// Type is Normal or Warning.
	Type string
	// Reason is a word in camel case, and Note a sentence.
	Reason, Note string
	// Since tells apart two events of the same words. If it is zero, the same words are told once as long as the garden keeps
	// events, which is an hour by default.
	Since time.Time
}

// Changes returns what to tell about a shoot whose line was before, or nil, and is now. What goes on without a change of the
// state is not told, nor what the Shoot's own status says.
func Changes(before *Line, now Line) []Event {
	var events []Event
	if before != nil && before.FluxVersion != "" && now.FluxVersion != "" && before.FluxVersion != now.FluxVersion {
		events = append(events, Event{Type: corev1.EventTypeNormal, Reason: "FluxVersion", Note: fmt.Sprintf("the shoot gets Flux %s instead of %s", now.FluxVersion, before.FluxVersion)})
	}
	changed := before == nil || before.Ready != now.Ready || before.Reason == ReconcileFailed
	switch {
	case now.Reason == ReconcileFailed:
	case now.Ready == gardencorev1beta1.ConditionTrue && changed:
		events = append(events, Event{Type: corev1.EventTypeNormal, Reason: "FluxReady", Note: now.Message, Since: now.Since.Time})
	case now.Ready == gardencorev1beta1.ConditionFalse && (changed || !sameMessage(before.Message, now.Message)):
		events = append(events, Event{Type: corev1.EventTypeWarning, Reason: now.Reason, Note: now.Message, Since: now.Since.Time})
	}
	return events
}

// Tell creates an event about a Shoot in the garden, which `kubectl describe shoot` shows. The name of the event follows from
// what it says, so that it is there once, whoever tells it and however often.
func (e Event) Tell(ctx context.Context, garden client.Writer, shoot Shoot) error {
	instance, err := os.Hostname()
	if err != nil || instance == "" {
		instance = reportingController
	}
	note := readiness.Shorten(e.Note, readiness.MaxMessage)
	event := &eventsv1.Event{
		ObjectMeta: metav1.ObjectMeta{Namespace: shoot.Namespace, Name: e.name(shoot, note)},
		EventTime:  metav1.NowMicro(),
		Regarding: corev1.ObjectReference{
			APIVersion: gardencorev1beta1.SchemeGroupVersion.String(), Kind: "Shoot", Namespace: shoot.Namespace, Name: shoot.Name, UID: shoot.UID,
		},
		ReportingController: reportingController,
		ReportingInstance:   readiness.Shorten(instance, 128),
		Action:              "Reconcile",
		Type:                e.Type,
		Reason:              e.Reason,
		Note:                note,
	}
	if err := garden.Create(ctx, event); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("failed to create an event about Shoot %s/%s in the garden: %w", shoot.Namespace, shoot.Name, err)
	}
	return nil
}

func (e Event) name(shoot Shoot, note string) string {
	said := fmt.Sprintf("%s\n%s\n%s\n%s\n%d", shoot.UID, e.Type, e.Reason, note, e.Since.Unix())
	return fmt.Sprintf("%s.%x", shoot.Name, sha256.Sum256([]byte(said)))[:len(shoot.Name)+1+20]
}
