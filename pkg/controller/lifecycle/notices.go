// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const (
	// maxNotices bounds the notices of a shoot. One reconciliation has a handful.
	maxNotices = 32
	// reportTimeout is how long an Extension that could go waits until people know its notices.
	reportTimeout = time.Minute
)

func newNotice(eventType, reason, message string) fluxv1alpha1.Notice {
	return fluxv1alpha1.Notice{Type: eventType, Reason: reason, Message: readiness.Shorten(readiness.Normalise(message), readiness.MaxMessage), Since: metav1.Now().Rfc3339Copy()}
}

// noticesOf are what people should know of the release and the credentials that a shoot gets, although nothing failed.
func noticesOf(project, fluxWarning string, credentials *sourcesecret.Credentials) []fluxv1alpha1.Notice {
	var notices []fluxv1alpha1.Notice
	if fluxWarning != "" {
		notices = append(notices, newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeFluxVersion, fluxWarning))
	}
	if credentials == nil {
		return notices
	}
	if credentials.Created {
		notices = append(notices, newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeKeyPairMade,
			fmt.Sprintf("Made a key pair in Secret %s/%s of the garden: register the public key at the Git server: %s", project, sourcesecret.SecretName, credentials.PublicKey())))
	}
	return append(notices, noticesOfHostKeys(project, credentials)...)
}

func noticesOfHostKeys(project string, credentials *sourcesecret.Credentials) []fluxv1alpha1.Notice {
	var notices []fluxv1alpha1.Notice
	for _, key := range credentials.HostKeys {
		if key.Origin == sourcesecret.OriginScanned {
			notices = append(notices, newNotice(corev1.EventTypeNormal, fluxv1alpha1.NoticeHostKeyTrusted,
				fmt.Sprintf("Asked the Git server for its host key and keep what it said in Secret %s/%s of the garden: %s %s", project, sourcesecret.SecretName, key.Type, key.Fingerprint)))
		}
	}
	return notices
}

// addNotices notes at the Extension what people should know, as soon as it is so: the controller report makes events of it. If it is noted
// already, nothing is written.
func (r *reconciliation) addNotices(ctx context.Context, notices ...fluxv1alpha1.Notice) error {
	status := fluxv1alpha1.StatusOf(r.extension)
	status.Notices = withNotices(status.Notices, notices)
	return mustFail(r.writeStatus(ctx, status))
}

// withNotices adds notices to those that are there. The same words are one notice.
func withNotices(there, notices []fluxv1alpha1.Notice) []fluxv1alpha1.Notice {
	for _, notice := range notices {
		if !containsNotice(there, notice) {
			there = append(slices.Clip(there), notice)
		}
	}
	return there[max(len(there)-maxNotices, 0):]
}

// withoutPast takes out what has been reported of the release, whose something is, or of fields without effect and does not hold any more: if it comes again, people should know it again.
// All else happens once.
func withoutPast(there, holding []fluxv1alpha1.Notice) []fluxv1alpha1.Notice {
	return slices.DeleteFunc(slices.Clone(there), func(notice fluxv1alpha1.Notice) bool {
		comesAgain := slices.Contains([]string{fluxv1alpha1.NoticeFluxVersion, fluxv1alpha1.NoticeFieldIgnored, fluxv1alpha1.NoticeLeftToUsers}, notice.Reason)
		return notice.Reported && comesAgain && !containsNotice(holding, notice)
	})
}

func containsNotice(notices []fluxv1alpha1.Notice, notice fluxv1alpha1.Notice) bool {
	return slices.ContainsFunc(notices, func(other fluxv1alpha1.Notice) bool {
		return other.Type == notice.Type && other.Reason == notice.Reason && other.Message == notice.Message
	})
}

// checkReported lets an Extension that could go wait for a moment until people know its notices. Afterwards nobody could tell them.
func (r *reconciliation) checkReported(context.Context) error {
	status := fluxv1alpha1.StatusOf(r.extension)
	for _, notice := range status.UnreportedNotices() {
		if time.Since(notice.Since.Time).Abs() < reportTimeout { // who noted it may have had another clock
			return requeueSoon(notice.Since.Time, fmt.Errorf("people are still to be told: %s", notice.Message))
		}
	}
	return nil
}
