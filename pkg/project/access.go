// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"net"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

// validateAccess checks that the scheme of the URL can do what the type of the repository needs.
func validateAccess(r *fluxv1alpha1.Repository, path *field.Path) field.ErrorList {
	u, err := parseURL(r.URL)
	switch {
	case err != nil:
		return nil
	case r.IsPrivate() && u.Scheme == "http":
		return field.ErrorList{field.Invalid(path, fluxv1alpha1.RepositoryPrivate, fmt.Sprintf(
			`the credentials would be sent in the clear, because %s starts with http://: write it with https://, or write public if it can be read without credentials`, keyURL))}
	case !r.IsPrivate() && u.Scheme == schemeSSH:
		return field.ErrorList{field.Invalid(path, fluxv1alpha1.RepositoryPublic, fmt.Sprintf(
			`SSH always needs a key, and %s starts with ssh:// or has the form git@host:path: write private, or an https:// URL`, keyURL))}
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

func validateKnownHosts(r *fluxv1alpha1.Repository, path *field.Path) field.ErrorList {
	if r.KnownHosts == "" {
		return nil
	}
	lines, lineErrs := knownhosts.Parse(r.KnownHosts)
	u, err := parseURL(r.URL)
	if err == nil && len(lineErrs) == 0 {
		lineErrs = lines.Unused(hostPort(u))
	}
	errs := lineProblems(lineErrs, path)
	switch {
	case err != nil:
		return errs
	case u.Scheme != schemeSSH:
		return append(errs, field.Forbidden(path, fmt.Sprintf("it is only for SSH, and %s starts with %s://: remove it", keyURL, u.Scheme)))
	case len(lineErrs) == 0 && len(lines.For(hostPort(u))) == 0:
		return append(errs, field.Invalid(path, field.OmitValueType{}, fmt.Sprintf(
			"no line is for %s: add the line that %q prints", echo(hostPort(u)), keyscan(u.Hostname(), u.Port()))))
	}
	return errs
}

// lineProblems names the first line that can't be used, and counts the others.
func lineProblems(lineErrs []knownhosts.LineError, path *field.Path) field.ErrorList {
	if len(lineErrs) == 0 {
		return nil
	}
	detail := lineErrs[0].Error()
	if more := len(lineErrs) - 1; more > 0 {
		detail += fmt.Sprintf("; more lines that can't be used: %d", more)
	}
	return field.ErrorList{field.Invalid(path, field.OmitValueType{}, detail)}
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
