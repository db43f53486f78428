// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const (
	// maxConflict is how many bytes a Conflict says at most. Nobody shortens it then, for whom choices and commands are words like others.
	// There is room for what Gardener puts before an error ("Unable to restore Extension resource: ").
	maxConflict = readiness.MaxMessage - 40
	// maxObstacle bounds what is said of one obstacle, so that there is room for the first one in any case.
	maxObstacle = 400
	// maxAround bounds what is said around the first obstacle: " Found: ", how many more there are, and that there may be others.
	maxAround = 55
	// maxName bounds how much of an object's name is repeated where it is not part of a command.
	maxName = 90
	// documentation has the commands in general, where those for what was found are too long.
	documentation = "https://github.com/23technologies/gardener-extension-shoot-flux/blob/main/docs/usage/existing-flux.md#choices"
)

// What an obstacle is about, in few words, so that all of them are named even if there is no room for more.
const (
	ofRoot        = "Kustomization"
	ofSecret      = "Secret"
	ofFlux        = "Flux itself"
	ofAnotherFlux = "Flux in another namespace"
	ofFollowers   = "other Kustomizations"
)

// Conflict is what a shoot has that is not the extension's, and would be lost. Its words are for the shoot's owner: what can be done, and
// what was found. They hold nothing of what is inside of the objects but names of fields, and have a bounded length.
type Conflict struct {
	// kinds are what the obstacles are about, each once.
	kinds     []string
	obstacles []string
	// commands are what hands over without deleting what Flux has deployed. The last of them, if any, deletes the GitRepository: a Kustomization that is
	// still there could bring it back.
	commands []string
	last     string
	// ofFlux tells that it is Flux itself that somebody else takes care of.
	ofFlux bool
	// namespace is where another Flux runs, or empty.
	namespace string
	// partial tells that not all has been looked at, because something was found before.
	partial bool
}

func (c *Conflict) add(kind, obstacle string, commands ...string) {
	if !slices.Contains(c.kinds, kind) {
		c.kinds = append(c.kinds, kind)
	}
	at := len(c.obstacles)
	if kind == ofRoot { // by which workloads would be lost: there is room for the first in any case
		at = 0
	}
	c.obstacles = slices.Insert(c.obstacles, at, readiness.Shorten(obstacle, maxObstacle))
	for _, command := range commands {
		if !slices.Contains(c.commands, command) {
			c.commands = append(c.commands, command)
		}
	}
}

// Error implements error. What they are about and the choices come first and whole, then as many commands and obstacles as there is room for.
func (c *Conflict) Error() string {
	text := "the shoot has something that is not the extension's and would be lost, so it is left alone: " + strings.Join(c.kinds, ", ") + ". To keep it, remove extension shoot-flux from the Shoot."
	if c.ofFlux {
		text += " To keep only Flux itself as it is, set installation to once."
	}
	text += " To remove Flux before, but nothing that it has deployed: flux uninstall"
	if c.namespace != "" {
		text += " --namespace=" + c.namespace
	}
	text += "."
	if len(c.commands) > 0 || c.last != "" {
		text += " To hand it over without deleting what Flux has deployed, " + c.handOver(maxConflict-len(text))
	}
	text += " Found: "
	return text + c.listObstacles(maxConflict-len(text))
}

// handOver are all of the commands, or none: who runs only some of them, or a part of one, may lose something.
func (c *Conflict) handOver(room int) string {
	all := c.commands
	if c.last != "" {
		all = append(slices.Clone(all), c.last)
	}
	commands := "run in the shoot: " + strings.Join(all, "; ") + "."
	if len(commands)+len(c.obstacles[0])+maxAround > room {
		return "see " + documentation + "."
	}
	return commands
}

// listObstacles names the first obstacle, and others as long as there is room.
func (c *Conflict) listObstacles(room int) string {
	suffix := ""
	if c.partial {
		suffix = ". More may be found after that"
	}
	for n := len(c.obstacles); ; n-- {
		text := strings.Join(c.obstacles[:n], "; ")
		if n < len(c.obstacles) {
			text += fmt.Sprintf("; and %d more", len(c.obstacles)-n)
		}
		if text += suffix; n == 1 || len(text) <= room {
			return text
		}
	}
}

// nameOf is the name of an object for a sentence.
func nameOf(key client.ObjectKey) string {
	return readiness.Shorten(key.String(), maxName)
}

// forget is a command that deletes a Kustomization but nothing that it has deployed. Only the suspension names it, so that what remains of
// the command deletes nothing if somebody cuts it.
func forget(kustomization client.ObjectKey) string {
	return fmt.Sprintf(`kubectl -n %[1]s patch %[3]s %[2]s --type=merge -p '{"spec":{"suspend":true}}' -o name | xargs kubectl -n %[1]s delete`,
		kustomization.Namespace, kustomization.Name, flux.Kustomization.Definition())
}
