// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status_test

import (
	"testing"

	. "github.com/onsi/gomega"
)

// TestAProblemIsReported gives people what gardenlet is not told, before anything that Flux says.
func TestAProblemIsReported(t *testing.T) {
	project := newProject(t)
	seeds[0].startExtension(t, true)
	s := seeds[0].newShoot(t, project, "one")
	s.bring()
	s.say(`"version":"v2.9.4"`)
	s.expectCondition("True", "NoRepository", "only Flux is installed")

	problem := func(reason, message string) string {
		return `"version":"v2.9.4","problem":{"reason":"` + reason + `","message":"` + message + `","since":"2026-03-04T13:00:00Z"}`
	}
	s.say(problem("NotAsConfigured", "ConfigMap flux-config in the garden is not valid"))
	s.looked()
	s.expectCondition("False", "NotAsConfigured", "ConfigMap flux-config in the garden is not valid")
	s.Expect(s.expectLine("False", "ConfigMap flux-config in the garden is not valid").Reason).To(Equal("NotAsConfigured"))
	s.Eventually(s.events, timeout).Should(ContainElement(ContainSubstring("Warning NotAsConfigured ConfigMap flux-config in the garden is not valid")))

	s.say(problem("UnderWay", "the shoot gets Flux in two steps"))
	s.looked()
	s.expectCondition("Progressing", "UnderWay", "the shoot gets Flux in two steps")
	s.expectLine("Progressing", "the shoot gets Flux in two steps")

	s.say(`"version":"v2.9.4"`)
	s.looked()
	s.expectCondition("True", "NoRepository", "only Flux is installed")
	s.expectLine("True", "only Flux is installed")
}
