// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package status tells people who can't look into the seed how Flux gets on in their shoots: in ConfigMap flux-status of the
// project's namespace in the garden, and by events about the Shoot.
package status

import (
	"bytes"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const (
	// ReconcileFailed is the reason of a line if the shoot could not be brought to what the project's configuration says. The
	// message is the error. It is in the Shoot's status too.
	ReconcileFailed = "ReconcileFailed"
	// Pending is the reason of a line as long as nothing is known of the shoot.
	Pending = "Pending"

	// How many bytes a line holds of what it repeats besides the message.
	maxReason, maxVersion, maxSource, maxRevision = 64, 64, 500, 340
)

// Line is what ConfigMap flux-status says of one shoot, as JSON. Fields may be added, but none is renamed.
type Line struct {
	// Ready is True, False, Progressing or Unknown, as condition FluxReady of the Extension in the seed.
	Ready gardencorev1beta1.ConditionStatus `json:"ready"`
	// Reason is one of the reasons of package readiness, or of this one.
	Reason string `json:"reason"`
	// Since is since when Ready is what it is, with seconds, in UTC.
	Since metav1.Time `json:"since"`
	// FluxVersion is the release of Flux that the shoot gets, such as v2.9.4. It is empty until one has been chosen.
	FluxVersion string `json:"fluxVersion,omitempty"`
	// Source is the Git repository, without password. It is empty if only Flux is installed.
	Source string `json:"source,omitempty"`
	// Revision is what Flux last applied, such as main@sha1:5f0c….
	Revision string `json:"revision,omitempty"`
	// Message is one sentence.
	Message string `json:"message"`
}

// LineOf makes the line of a shoot of its Extension. Since is zero if the Extension does not tell.
func LineOf(ex *extensionsv1alpha1.Extension) Line {
	told := fluxv1alpha1.StatusOf(ex)
	line := Line{
		FluxVersion: told.Version, Source: told.RepositoryURL, Revision: told.Revision,
		Ready: gardencorev1beta1.ConditionProgressing, Reason: Pending, Since: ex.CreationTimestamp, Message: "the shoot has not been looked into yet",
	}
	if condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady); condition != nil {
		line.Ready, line.Reason, line.Since, line.Message = condition.Status, condition.Reason, condition.LastTransitionTime, condition.Message
	}
	if failure := ex.Status.LastError; failure != nil {
		line.Ready, line.Reason, line.Since, line.Message = gardencorev1beta1.ConditionFalse, ReconcileFailed, metav1.Time{}, readiness.Normalise(failure.Description)
	}
	return line.bounded()
}

// bounded returns a line that is not too long for the others of the project, whoever wrote what it repeats.
func (l Line) bounded() Line {
	l.Ready = gardencorev1beta1.ConditionStatus(readiness.Shorten(string(l.Ready), maxReason))
	l.Reason = readiness.Shorten(l.Reason, maxReason)
	l.FluxVersion = readiness.Shorten(l.FluxVersion, maxVersion)
	l.Source = readiness.Shorten(l.Source, maxSource)
	l.Revision = readiness.Shorten(l.Revision, maxRevision)
	l.Message = readiness.Shorten(l.Message, readiness.MaxMessage)
	return l
}

// ParseLine reads a line of ConfigMap flux-status.
func ParseLine(text string) (Line, error) {
	line := Line{}
	if err := json.Unmarshal([]byte(text), &line); err != nil {
		return Line{}, fmt.Errorf("not a line of ConfigMap %s: %w", ConfigMapName, err)
	}
	return line, nil
}

// String is the line as JSON, without line breaks.
func (l Line) String() string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// People read it: <, > and & stay.
	encoder.SetEscapeHTML(false)
	// Strings and times can always be serialized.
	_ = encoder.Encode(l)
	return string(bytes.TrimSpace(text.Bytes()))
}
