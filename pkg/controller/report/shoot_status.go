// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

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
	// ReconcileFailed is the reason of a ShootStatus if the shoot could not be brought to what the project's configuration says. The
	// message is the error. It is in the Shoot's status too.
	ReconcileFailed = "ReconcileFailed"
	// Pending is the reason as long as nothing is known of the shoot.
	Pending = "Pending"
	// LeftOut is the reason of what stands for the shoots that ConfigMap flux-status has no room for.
	LeftOut = "LeftOut"

	// How many bytes a ShootStatus holds of what it repeats besides the message.
	maxReason, maxVersion, maxSource, maxRevision = 64, 64, 500, 340
)

// ShootStatus is what ConfigMap flux-status says of one shoot, as JSON on one line. Fields may be added, but none is renamed.
type ShootStatus struct {
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

// ShootStatusOf makes the status of a shoot of its Extension. Since is zero if the Extension does not say.
func ShootStatusOf(ex *extensionsv1alpha1.Extension) ShootStatus {
	flux := fluxv1alpha1.StatusOf(ex)
	status := ShootStatus{
		FluxVersion: flux.Version, Source: flux.RepositoryURL, Revision: flux.Revision,
		Ready: gardencorev1beta1.ConditionProgressing, Reason: Pending, Since: ex.CreationTimestamp, Message: "the shoot has not been looked into yet",
	}
	if condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady); condition != nil {
		status.Ready, status.Reason, status.Since, status.Message = condition.Status, condition.Reason, condition.LastTransitionTime, condition.Message
	}
	if failure := ex.Status.LastError; failure != nil {
		status.Ready, status.Reason, status.Since, status.Message = gardencorev1beta1.ConditionFalse, ReconcileFailed, metav1.Time{}, readiness.Normalise(failure.Description)
	}
	return status.bounded()
}

// bounded returns a status that is not too long for the others of the project, whoever wrote what it repeats.
func (s ShootStatus) bounded() ShootStatus {
	s.Ready = gardencorev1beta1.ConditionStatus(readiness.Shorten(string(s.Ready), maxReason))
	s.Reason = readiness.Shorten(s.Reason, maxReason)
	s.FluxVersion = readiness.Shorten(s.FluxVersion, maxVersion)
	s.Source = readiness.Shorten(s.Source, maxSource)
	s.Revision = readiness.Shorten(s.Revision, maxRevision)
	s.Message = readiness.Shorten(s.Message, readiness.MaxMessage)
	return s
}

// ParseShootStatus reads a line of ConfigMap flux-status.
func ParseShootStatus(text string) (ShootStatus, error) {
	status := ShootStatus{}
	if err := json.Unmarshal([]byte(text), &status); err != nil {
		return ShootStatus{}, fmt.Errorf("not a line of ConfigMap %s: %w", ConfigMapName, err)
	}
	return status, nil
}

// String is the status as JSON, without line breaks.
func (s ShootStatus) String() string {
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// People read it: <, > and & stay.
	encoder.SetEscapeHTML(false)
	// Strings and times can always be serialized.
	_ = encoder.Encode(s)
	return string(bytes.TrimSpace(text.Bytes()))
}
