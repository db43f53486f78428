// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

const (
	// progressTimeout is how long what is under way may take, on top of the timeout that Flux was given for it, before it is a fault.
	progressTimeout = 5 * time.Minute
	// maxTimeout bounds what a timeout counts for.
	maxTimeout = time.Hour
)

// underWay is the readiness of something that has been under way since a time, which may be zero if it is not known, and for
// which Flux has a timeout.
func (o Observation) underWay(reason, sentence string, since time.Time, timeout time.Duration) Readiness {
	if o.overdue(since, timeout) {
		return o.noProgress(sentence + " since " + since.UTC().Format(time.RFC3339))
	}
	return progressing(reason, sentence)
}

func (o Observation) overdue(since time.Time, timeout time.Duration) bool {
	return !since.IsZero() && o.Now.After(since.Add(progressTimeout+min(max(timeout, 0), maxTimeout)))
}

func (o Observation) noProgress(sentence string) Readiness {
	return Readiness{
		Status: gardencorev1beta1.ConditionFalse,
		Reason: NoProgress,
		Message: fmt.Sprintf("%s, and does not get on: look at the controllers of Flux in the shoot: "+
			"kubectl -n %[2]s get pods, and kubectl -n %[2]s logs deployment/source-controller or deployment/kustomize-controller", sentence, o.Namespace),
	}
}

// Lasting returns what a readiness becomes if it was said already: that Flux has not looked yet is a fault if it lasts. before is
// the condition that said it.
func (o Observation) Lasting(r Readiness, before *gardencorev1beta1.Condition) Readiness {
	if r.Reason != NotObserved || before == nil {
		return r
	}
	if before.Reason == NoProgress || before.Reason == NotObserved && o.Now.After(before.LastUpdateTime.Add(progressTimeout)) {
		lasting := o.noProgress(r.Message)
		lasting.Revision = r.Revision
		return lasting
	}
	return r
}

// request is what somebody asked Flux to do at once, by annotation, and that Flux has not done yet.
type request struct {
	// ours is one by which the extension makes Flux look again after the Secret changed. People's are the time.
	ours bool
	// since is zero if it is not known.
	since time.Time
}

// openRequest returns nil if Flux has done what it was asked for last.
func openRequest(object metav1.Object, handled string) *request {
	asked := object.GetAnnotations()[fluxmeta.ReconcileRequestAnnotation]
	if asked == "" || asked == handled {
		return nil
	}
	if at, err := time.Parse(time.RFC3339Nano, asked); err == nil {
		return &request{since: at}
	}
	return &request{ours: true, since: askedAt(object)}
}

// askedAt is when the annotation was written. The API server knows who wrote which field when.
func askedAt(object metav1.Object) time.Time {
	for _, entry := range object.GetManagedFields() {
		if entry.Time != nil && entry.FieldsV1 != nil && strings.Contains(string(entry.FieldsV1.GetRawBytes()), `"f:`+fluxmeta.ReconcileRequestAnnotation+`"`) {
			return entry.Time.Time
		}
	}
	return time.Time{}
}
