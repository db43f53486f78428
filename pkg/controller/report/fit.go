// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const (
	// maxSize is how many bytes the keys of ConfigMap flux-status have together, with what the API server keeps for each. A ConfigMap
	// can have 1 MiB of data (MaxSecretSize of Kubernetes' validation), and an object 1.5 MiB.
	maxSize = 950_000
	// leftOutSize is enough for what stands for the shoots that are left out.
	leftOutSize = 1_000
)

// messageLimits are to how many bytes messages are shortened.
var messageLimits = []int{readiness.MaxMessage, 512, 256, 128, 0}

// form is how much is said of a shoot.
type form struct {
	// message is to how many bytes the message is shortened.
	message int
	// repository tells whether source and revision are said.
	repository bool
}

// reductions are how much is said if there are too many shoots to say more. What somebody has to do about those that are not ready is
// shortened last. The message of one that is ready says no more than source and revision.
var reductions = []struct{ ready, others form }{
	{form{readiness.MaxMessage, true}, form{readiness.MaxMessage, true}},
	{form{128, true}, form{readiness.MaxMessage, true}},
	{form{0, true}, form{readiness.MaxMessage, true}},
	{form{0, false}, form{readiness.MaxMessage, true}},
	{form{0, false}, form{512, true}},
	{form{0, false}, form{256, false}},
	{form{0, false}, form{128, false}},
	{form{0, false}, form{0, false}},
}

// Fit shortens statuses by the names of their shoots, until they have together no more than the given number of bytes. If even the
// shortest form is too much, those of shoots that are ready are left out first.
func Fit(statuses map[string]ShootStatus, size int) map[string]ShootStatus {
	var fitting map[string]ShootStatus
	for _, reduction := range reductions {
		fitting = make(map[string]ShootStatus, len(statuses))
		for shoot, status := range statuses {
			if isReady(status) {
				fitting[shoot] = status.in(reduction.ready)
			} else {
				fitting[shoot] = status.in(reduction.others)
			}
		}
		if sizeOf(fitting) <= size {
			return fitting
		}
	}
	leaveOut(fitting, size-leftOutSize)
	return fitting
}

// leftOut is what stands for the shoots that Fit has left out, or nil. It has the form of a shoot's status, for programs that read all keys.
func leftOut(statuses, fitting map[string]ShootStatus) *ShootStatus {
	total, ready := 0, 0
	newest := metav1.Time{}
	for shoot, status := range statuses {
		if _, fits := fitting[shoot]; fits {
			continue
		}
		total++
		if isReady(status) {
			ready++
		}
		if newest.Before(&status.Since) {
			newest = status.Since
		}
	}
	switch total {
	case 0:
		return nil
	case ready:
		return &ShootStatus{Ready: gardencorev1beta1.ConditionTrue, Reason: LeftOut, Since: newest,
			Message: fmt.Sprintf("%d more shoots are ready: this ConfigMap has no room for a line of each", ready)}
	default:
		return &ShootStatus{Ready: gardencorev1beta1.ConditionFalse, Reason: LeftOut, Since: newest,
			Message: fmt.Sprintf("%d more shoots are ready and %d are not: this ConfigMap has no room for a line of each", ready, total-ready)}
	}
}

// in returns what is said of the shoot in a form.
func (s ShootStatus) in(f form) ShootStatus {
	s.Message = readiness.Shorten(s.Message, f.message)
	if !f.repository {
		s.Source, s.Revision = "", ""
	}
	return s
}

// leaveOut takes out what is too much.
func leaveOut(statuses map[string]ShootStatus, size int) {
	surplus := sizeOf(statuses) - size
	shoots := slices.SortedFunc(maps.Keys(statuses), func(a, b string) int {
		return cmp.Or(rank(statuses[a])-rank(statuses[b]), cmp.Compare(b, a))
	})
	for _, shoot := range shoots {
		if surplus <= 0 {
			return
		}
		surplus -= keySize(shoot, statuses[shoot].String())
		delete(statuses, shoot)
	}
}

func isReady(status ShootStatus) bool { return status.Ready == gardencorev1beta1.ConditionTrue }

func rank(status ShootStatus) int {
	if isReady(status) {
		return 0
	}
	return 1
}

func sizeOf(statuses map[string]ShootStatus) int {
	size := 0
	for shoot, status := range statuses {
		size += keySize(shoot, status.String())
	}
	return size
}

// keySize counts the key twice: the API server also keeps who has written it.
func keySize(key, value string) int {
	return 2*len(key) + len(value) + 20
}

// sameMessage tells whether two messages are the same, of which one may have been shortened by Fit.
func sameMessage(a, b string) bool {
	if a == "" || b == "" {
		return true
	}
	shorter := min(len(a), len(b))
	for _, limit := range slices.Backward(messageLimits) {
		if limit >= shorter {
			return readiness.Shorten(a, limit) == readiness.Shorten(b, limit)
		}
	}
	return a == b
}
