// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"net"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

// validateAccess checks that the scheme of the URL can do what the type of the repository needs.
func validateAccess(c *fluxv1alpha1.FluxConfig, name naming) detail {
	u, err := parseURL(c.Repository.URL)
	switch private := c.Repository.IsPrivate(); {
	case err != nil:
		return nil
	case private && u.Scheme == "http":
		return invalid(string(fluxv1alpha1.RepositoryPrivate), fmt.Sprintf(
			`everybody on the way could read the credentials, because %s starts with http://: write it with https:// or ssh://, or write public if it can be read without credentials`, name(fieldURL)))
	case !private && u.Scheme == schemeSSH:
		return invalid(string(fluxv1alpha1.RepositoryPublic), fmt.Sprintf(
			`SSH always needs a key, and %s starts with ssh:// or has the form git@host:path: write private, or an https:// URL`, name(fieldURL)))
	}
	return nil
}

// normaliseKnownHosts keeps what can't be used: the numbers of lines in sentences are those of what was written.
func normaliseKnownHosts(r *fluxv1alpha1.Repository) string {
	lines, errs := knownhosts.Parse(r.KnownHosts)
	if len(errs)+len(lines.Unused(HostPort(r.URL))) > 0 {
		return r.KnownHosts
	}
	return lines.String()
}

func validateKnownHosts(c *fluxv1alpha1.FluxConfig, name naming) detail {
	r := c.Repository
	if r.KnownHosts == "" {
		return nil
	}
	lines, lineErrs := knownhosts.Parse(r.KnownHosts)
	u, err := parseURL(r.URL)
	if len(lineErrs) == 0 && err == nil && u.Scheme != schemeSSH {
		return forbidden(fmt.Sprintf("it is only for SSH, and %s starts with %s://: remove it", name(fieldURL), u.Scheme))
	}
	if err == nil && len(lineErrs) == 0 {
		lineErrs = lines.Unused(hostPort(u))
	}
	switch {
	case len(lineErrs) > 0:
		return lineProblems(lineErrs)
	case err == nil && len(lines.For(hostPort(u))) == 0:
		return invalidHidden(fmt.Sprintf("no line is for %s: add the line that %q prints", echo(hostPort(u)), keyscan(u.Hostname(), u.Port())))
	}
	return nil
}

// lineProblems names the first line that can't be used, and counts the others.
func lineProblems(lineErrs []knownhosts.LineError) detail {
	text := lineErrs[0].Error()
	if more := len(lineErrs) - 1; more > 0 {
		text += fmt.Sprintf("; more lines that can't be used: %d", more)
	}
	return invalidHidden(text)
}

// keyscan is the command that asks a host for its keys.
func keyscan(host, port string) string {
	if net.ParseIP(host) == nil {
		host = echo(host)
	}
	if port == "" || port == defaultPorts[schemeSSH] {
		return "ssh-keyscan " + host
	}
	return "ssh-keyscan -p " + port + " " + host
}
