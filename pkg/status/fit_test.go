// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

func fleet(shoots int, message string) map[string]Line {
	lines := map[string]Line{}
	for i := range shoots {
		lines[fmt.Sprintf("shoot-%05d", i)] = Line{Ready: "True", Reason: "Applied", Since: noon, Source: "ssh://git@git.example.com/fleet", Revision: "main@sha1:1", Message: message}
	}
	return lines
}

func TestFit(t *testing.T) {
	advice := "register this key: " + strings.Repeat("k", 1000)
	for name, test := range map[string]struct {
		lines map[string]Line
		size  int
		want  int
		// message is how long messages are.
		message int
	}{
		"few shoots":                   {fleet(10, advice), maxSize, 10, len(advice)},
		"a thousand shoots":            {fleet(1000, advice), maxSize, 1000, 512},
		"many thousands":               {fleet(2500, advice), maxSize, 2500, 128},
		"other seeds have filled it":   {fleet(100, advice), 20_000, 100, 0},
		"more than fit at all":         {fleet(1000, advice), 20_000, 165, 0},
		"many short ones lose nothing": {fleet(3000, "fine"), maxSize, 3000, 4},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			fitting := Fit(test.lines, test.size)
			g.Expect(fitting).To(HaveLen(test.want))
			g.Expect(sizeOf(fitting)).To(BeNumerically("<=", test.size))
			for _, line := range fitting {
				g.Expect(line.Message).To(HaveLen(test.message))
			}
		})
	}
}

// One line that is too long, or too many, do not keep those of shoots that need somebody from being told.
func TestFitKeepsWhatIsBroken(t *testing.T) {
	g := NewWithT(t)
	lines := fleet(1000, "fine")
	lines["shoot-00999"] = Line{Ready: "False", Reason: "BuildFailed", Since: noon, Message: strings.Repeat("x", 1_000_000)}
	g.Expect(Fit(lines, 20_000)).To(HaveKeyWithValue("shoot-00999", HaveField("Reason", "BuildFailed")))
	g.Expect(Fit(lines, 20_000)).NotTo(HaveKey("shoot-00998"))
}

func TestRoomIsWhatOthersLeave(t *testing.T) {
	g := NewWithT(t)
	board := &Board{manager: "me", configMap: &corev1.ConfigMap{Data: map[string]string{"other": strings.Repeat("x", 400_000), KeyPublicKey: "key"}}}
	g.Expect(board.Room(map[string]string{KeyPublicKey: "key"})).To(BeNumerically("~", maxSize-400_000, 200))
	board.configMap.Data["another"] = strings.Repeat("x", 600_000)
	g.Expect(board.Room(nil)).To(Equal(minRoom))
}

// A message that was shortened because there are many shoots is no news.
func TestAShortenedMessageIsNoChange(t *testing.T) {
	g := NewWithT(t)
	now := Line{Ready: "False", Reason: "BuildFailed", Message: strings.Repeat("äb", 330)}
	for _, limit := range messageLimits {
		before := now
		before.Message = readiness.Shorten(now.Message, limit)
		g.Expect(Changes(&before, now)).To(BeEmpty(), "%d", limit)
	}
	other := now
	other.Message = "z" + other.Message[1:]
	g.Expect(Changes(&other, now)).To(HaveLen(1))
}
