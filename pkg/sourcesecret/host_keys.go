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

// findHostKeys takes the lines of the best source that has some for the host: what the admin configured,
// what the Secret holds, what the host's operator publishes, what the host says. It does not wait for the host: the error may
// be ErrPending. namespace is the project's, and
// origins say where it has written what.
func findHostKeys(scanner *scanner, namespace string, repository *fluxv1alpha1.Repository, origins project.Origins, stored knownhosts.Lines) (hostKeys, error) {
	hostPort := project.HostPort(repository.URL)
	configured, _ := knownhosts.Parse(repository.KnownHosts)
	if lines := configured.For(hostPort); len(lines) > 0 {
		return hostKeys{lines, OriginConfigured}, nil
	}
	if lines := stored.For(hostPort); len(lines) > 0 {
		return hostKeys{lines, OriginSecret}, nil
	}
	if lines := slices.Concat(stored.Revoked(), published).For(hostPort); len(lines) > 0 {
		return hostKeys{lines, OriginPublished}, nil
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

// mergeKnownHosts gives the known_hosts data of the Secret with these keys of the host. Lines of other
// hosts, comments and lines that can't be read stay; lines of the host that are not wanted go.
func mergeKnownHosts(text, hostPort string, wanted knownhosts.Lines) string {
	stored, _ := knownhosts.Parse(text)
	unwanted := stored.For(hostPort).Without(wanted)
	missing := wanted.Without(stored)
	if len(unwanted)+len(missing) == 0 {
		return text
	}
	var merged strings.Builder
	for line := range strings.Lines(text) {
		parsed, err := knownhosts.ParseLine(line)
		if err == nil && len(knownhosts.Lines{parsed}.Without(unwanted)) == 0 {
			continue
		}
		merged.WriteString(strings.TrimRight(line, "\r\n") + "\n")
	}
	return merged.String() + missing.String()
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
