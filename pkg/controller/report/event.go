// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

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
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// reportingController is what the policy of the garden lets the extension call itself in events.
const reportingController = "gardener-extension-shoot-flux"

// Event is something to report about a Shoot, or about its Extension.
type Event struct {
	// Type is Normal or Warning.
	Type string
	// Reason is a word in camel case, and Note a sentence.
	Reason, Note string
	// Since tells apart two events of the same words. If it is zero, the same words are reported once as long as events are kept,
	// which is an hour by default.
	Since time.Time
}

// Changes returns what to report about a shoot whose status was before, or nil, and is now. What goes on without a change of the
// state is not reported, nor what the Shoot's own status says.
func Changes(before *ShootStatus, now ShootStatus) []Event {
	var events []Event
	if before != nil && before.FluxVersion != "" && now.FluxVersion != "" && before.FluxVersion != now.FluxVersion {
		events = append(events, Event{Type: corev1.EventTypeNormal, Reason: fluxv1alpha1.NoticeFluxVersion, Note: fmt.Sprintf("the shoot gets Flux %s instead of %s", now.FluxVersion, before.FluxVersion)})
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

// eventOf is the event that a notice asks for. What comes again after it was over is another event.
func eventOf(notice fluxv1alpha1.Notice) Event {
	return Event{Type: notice.Type, Reason: notice.Reason, Note: notice.Message, Since: notice.Since.Time}
}

// ShootReference is what an event about a Shoot in the garden regards.
func ShootReference(shoot metav1.Object) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: gardencorev1beta1.SchemeGroupVersion.String(), Kind: "Shoot", Namespace: shoot.GetNamespace(), Name: shoot.GetName(), UID: shoot.GetUID(),
	}
}

// extensionReference is what an event about an Extension in the seed regards.
func extensionReference(ex *extensionsv1alpha1.Extension) corev1.ObjectReference {
	return corev1.ObjectReference{
		APIVersion: extensionsv1alpha1.SchemeGroupVersion.String(), Kind: extensionsv1alpha1.ExtensionResource, Namespace: ex.Namespace, Name: ex.Name, UID: ex.UID,
	}
}

// Create creates the event in the cluster of what it regards; `kubectl describe` shows it there. The name of the event follows from
// what it says, so that it is there once, whoever reports it and however often.
func (e Event) Create(ctx context.Context, cluster client.Writer, regarding corev1.ObjectReference) error {
	instance, err := os.Hostname()
	if err != nil || instance == "" {
		instance = reportingController
	}
	note := readiness.Shorten(e.Note, readiness.MaxMessage)
	event := &eventsv1.Event{
		ObjectMeta:          metav1.ObjectMeta{Namespace: regarding.Namespace, Name: e.name(regarding, note)},
		EventTime:           metav1.NowMicro(),
		Regarding:           regarding,
		ReportingController: reportingController,
		ReportingInstance:   readiness.Shorten(instance, 128),
		Action:              "Reconcile",
		Type:                e.Type,
		Reason:              e.Reason,
		Note:                note,
	}
	if err := cluster.Create(ctx, event); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("failed to create an event about %s %s/%s: %w", regarding.Kind, regarding.Namespace, regarding.Name, err)
	}
	return nil
}

func (e Event) name(regarding corev1.ObjectReference, note string) string {
	said := fmt.Sprintf("%s\n%s\n%s\n%s\n%d", regarding.UID, e.Type, e.Reason, note, e.Since.Unix())
	return fmt.Sprintf("%s.%x", regarding.Name, sha256.Sum256([]byte(said)))[:len(regarding.Name)+1+20]
}
