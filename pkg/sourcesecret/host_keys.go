// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	_ "embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

//go:embed published_known_hosts
var publishedText string

// published are the host keys of well-known forges.
var published, _ = knownhosts.Parse(publishedText)

// hostKeys are the lines that are trusted for one host.
type hostKeys struct {
	lines  knownhosts.Lines
	origin HostKeyOrigin
}

// findHostKeys takes the lines of the best source that has some for the host: what is known without asking, or what the host says. It does
// not wait for the host: the error may be ErrPending. namespace is the project's, and origins say where it has written what.
func findHostKeys(scanner *scanner, namespace string, repository *fluxv1alpha1.Repository, origins project.Origins, stored knownhosts.Lines) (hostKeys, error) {
	hostPort := project.HostPort(repository.URL)
	if known := knownHostKeys(repository, stored); len(known.lines) > 0 {
		return known, nil
	}
	presented, err := scanner.ask(namespace, hostPort)
	if errors.Is(err, ErrPending) {
		return hostKeys{}, err
	} else if err != nil {
		return hostKeys{}, fmt.Errorf("could not ask %s for its SSH host key: %w; check %s and "+
			"whether the seed reaches the host, or write the host's known_hosts lines into %s",
			hostPort, err, origins.Of(project.FieldURL), whereKnownHosts(origins))
	}
	trusted := slices.Concat(stored.Revoked(), presented).For(hostPort)
	if refused := presented.Without(trusted); len(refused) > 0 {
		// Who has a key that became known can present others beside it.
		return hostKeys{}, fmt.Errorf("%s presents the host key %s, which key %s revokes: find out why, and write the right key into %s",
			hostPort, refused[0].Fingerprint(), KeyKnownHosts, whereKnownHosts(origins))
	}
	return hostKeys{trusted, OriginScanned}, nil
}

// whereKnownHosts is where host keys are to be written: those below another URL say nothing about its server.
func whereKnownHosts(origins project.Origins) project.Location {
	return origins.Beside(project.FieldKnownHosts, project.FieldURL)
}

// knownHostKeys are those for which nobody needs to be asked: what is configured, what the Secret holds, what the host's operator publishes.
func knownHostKeys(repository *fluxv1alpha1.Repository, stored knownhosts.Lines) hostKeys {
	hostPort := project.HostPort(repository.URL)
	configured, _ := knownhosts.Parse(repository.KnownHosts)
	if lines := configured.For(hostPort); len(lines) > 0 {
		return hostKeys{lines, OriginConfigured}
	}
	if lines := stored.For(hostPort); len(lines) > 0 {
		return hostKeys{lines, OriginSecret}
	}
	return hostKeys{slices.Concat(stored.Revoked(), published).For(hostPort), OriginPublished}
}

// isFound tells whether the keys have been found here, so that the Secret is to hold them for all shoots of the project. What is configured
// is not: somebody may have written it for one shoot, and nobody else is to trust it.
func (k hostKeys) isFound() bool {
	return k.origin == OriginPublished || k.origin == OriginScanned
}

// appendHostKeys gives the known_hosts data of the Secret with more lines. What is there stays, also comments and lines that can't be read.
func appendHostKeys(text string, lines knownhosts.Lines) string {
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	return text + lines.String()
}

// describe gives what the caller may show: each key once, however many lines have it.
func (k hostKeys) describe() []HostKey {
	described := make([]HostKey, 0, len(k.lines))
	for _, line := range k.lines {
		key := HostKey{Type: line.KeyType(), Fingerprint: line.Fingerprint(), Origin: k.origin}
		if !slices.Contains(described, key) {
			described = append(described, key)
		}
	}
	return described
}
