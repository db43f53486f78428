// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"fmt"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

// checkStored refuses known_hosts data of the Secret of which some can't be used: an admin has written which keys to trust, and must
// not get a server that is trusted because it answered first. The arguments are what was read, and the lines that could not be read;
// origins say where the lines can be written as well.
func checkStored(stored knownhosts.Lines, unread []knownhosts.LineError, hostPort string, origins project.Origins) error {
	if len(unread) == 0 {
		unread = stored.Unused(hostPort)
	}
	if len(unread) == 0 {
		return nil
	}
	var problem error = unread[0]
	if more := len(unread) - 1; more > 0 {
		problem = fmt.Errorf("%w (more lines that can't be used: %d)", problem, more)
	}
	return fmt.Errorf("key %s: %w; correct it, or write the server's lines into %s", KeyKnownHosts, problem, whereKnownHosts(origins))
}
