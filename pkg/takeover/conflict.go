// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Conflict is what a shoot has that is not the extension's, and would be lost. Its words are for the shoot's owner: what was found, and
// what can be done. They hold nothing of what is inside of the objects but names of fields, and have a bounded length.
type Conflict struct {
	obstacles []string
	// commands are what hands over without deleting what Flux has deployed.
	commands []string
	// ofFlux tells that it is Flux itself that somebody else takes care of.
	ofFlux bool
}

func (c *Conflict) add(obstacle string, commands ...string) {
	c.obstacles = append(c.obstacles, obstacle)
	for _, command := range commands {
		if !slices.Contains(c.commands, command) {
			c.commands = append(c.commands, command)
		}
	}
}

// Error implements error.
func (c *Conflict) Error() string {
	choices := "To keep it, remove extension shoot-flux from the Shoot."
	if c.ofFlux {
		choices += " To keep only Flux itself as it is, set installation to once."
	}
	if len(c.commands) > 0 {
		choices += " To hand it over without deleting anything that Flux has deployed, run in the shoot: " + strings.Join(c.commands, "; ") + "."
	}
	return fmt.Sprintf("the shoot has something that is not the extension's and would be lost, so it is left alone: %s. %s "+
		"To remove all of Flux before, but nothing that it has deployed: flux uninstall", strings.Join(c.obstacles, "; "), choices)
}

// forget are the commands that delete a Kustomization but nothing that it has deployed.
func forget(kustomization client.ObjectKey) string {
	return fmt.Sprintf(`kubectl -n %[1]s patch kustomizations.%[3]s %[2]s --type=merge -p '{"spec":{"suspend":true}}' && kubectl -n %[1]s delete kustomizations.%[3]s %[2]s`,
		kustomization.Namespace, kustomization.Name, kustomizationKind.Group)
}
