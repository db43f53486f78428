// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"cmp"
	"maps"
	"slices"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// maxSize is how many bytes the keys of ConfigMap flux-status have together, with what the API server keeps for each. A ConfigMap
// can have 1 MiB of data (MaxSecretSize of Kubernetes' validation), and an object 1.5 MiB.
const maxSize = 950_000

// messageLimits are to how many bytes the messages of a project are shortened, if there are too many shoots for longer ones.
var messageLimits = []int{readiness.MaxMessage, 512, 256, 128, 0}

// Fit shortens the messages of lines by the names of their shoots, all alike, until the lines have together no more than the
// given number of bytes. If even lines without message are too many, those of shoots that are ready are left out first.
func Fit(lines map[string]Line, size int) map[string]Line {
	var fitting map[string]Line
	for _, limit := range messageLimits {
		fitting = make(map[string]Line, len(lines))
		for shoot, line := range lines {
			line.Message = readiness.Shorten(line.Message, limit)
			if limit == 0 {
				line.Message, line.Source, line.Revision = "", "", ""
			}
			fitting[shoot] = line
		}
		if sizeOf(fitting) <= size {
			return fitting
		}
	}
	leaveOut(fitting, size)
	return fitting
}

// leaveOut takes out what is too much.
func leaveOut(lines map[string]Line, size int) {
	surplus := sizeOf(lines) - size
	shoots := slices.SortedFunc(maps.Keys(lines), func(a, b string) int {
		return cmp.Or(rank(lines[a])-rank(lines[b]), cmp.Compare(b, a))
	})
	for _, shoot := range shoots {
		if surplus <= 0 {
			return
		}
		surplus -= keySize(shoot, lines[shoot].String())
		delete(lines, shoot)
	}
}

func rank(line Line) int {
	if line.Ready == gardencorev1beta1.ConditionTrue {
		return 0
	}
	return 1
}

func sizeOf(lines map[string]Line) int {
	size := 0
	for shoot, line := range lines {
		size += keySize(shoot, line.String())
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
