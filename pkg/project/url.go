// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"unicode"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	schemeSSH = "ssh"
	schemeOCI = "oci"
)

// defaultPorts are the schemes that Flux reads Git repositories and artifacts with (the patterns of spec.url of GitRepository and OCIRepository),
// and their ports.
var defaultPorts = map[string]string{"https": "443", "http": "80", schemeSSH: "22", schemeOCI: "443"}

var (
	// scpForm is Git's short form of an SSH URL: a colon before the first slash, see git-clone(1).
	scpForm = regexp.MustCompile(`^(?:([^/:\[\]]+)@)?([^@/:\[\]]+|\[[0-9A-Fa-f:.]+\]):([^@]+)$`)
	// userName has no leading dash, so that no program takes it for an option. It may be an e-mail address (RFC 5322, dot-atom, without
	// slash), as for Google's servers.
	userName = regexp.MustCompile("^[A-Za-z0-9_][A-Za-z0-9.!#$%&'*+=?^_`{|}~@-]{0,254}$")
	// inHome are paths that can't be the "owner/repository" of a forge, and are relative to a home directory. A forge takes that
	// with and without leading slash.
	inHome = regexp.MustCompile(`^([^/]+/*|\.{1,2}/.*)$`)
	// encoded are characters that separate parts of a URL.
	encoded = regexp.MustCompile(`(?i)%(23|25|2f|3f)`)
	// artifactPath is the name of a repository of artifacts (github.com/opencontainers/distribution-spec).
	artifactPath = regexp.MustCompile(`^(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)+$`)
	// hostName also has underscores, which host names of internal networks have.
	hostName = regexp.MustCompile(`^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$`)
)

const writeURL = `write it as "https://host/owner/repository", "ssh://git@host/owner/repository.git", "git@host:owner/repository.git" or "oci://host/repository"`

var (
	errForm   = errors.New("it is not the URL of a Git repository: " + writeURL)
	errScheme = errors.New("only https://, http://, ssh:// and oci:// are supported: " + writeURL)
	errSecret = errors.New("it must not hold a user, password or token, because many people can read it: " +
		"write the URL without, set repositoryType to private, and put them into Secret flux-source of the project")
	errPassword = errors.New("it must not hold a password, because many people can read it: " +
		`write "ssh://git@host/owner/repository.git" and register the project's public key at the Git server`)
	errUser = errors.New(`the user's name must consist of letters, digits and what e-mail addresses have, such as ".", "_", "-", "+" and "@": in most cases it is git`)
	errHost = errors.New("the host must be a DNS name or an IP address, and the port a number from 1 to 65535: " + writeURL)
	errPath = errors.New("the path of the repository is missing: " + writeURL)
	errIPv6 = errors.New("Flux can't connect to an IPv6 address over SSH: write the DNS name of the host")
	errHome = errors.New("for Git, this path begins in the home directory of the server's user, and for Flux in the root directory: " +
		`write it as "ssh://git@host/path/to/repository.git" with the path as the server sees it from there; ` +
		`a server that has only names of repositories, such as Gitolite, takes "ssh://git@host/repository.git"`)
	errQuote    = errors.New(`write the path without "'", which old releases of Flux pass on in a way that the server takes for the end of the path`)
	errArtifact = errors.New(`write host and name of the repository in small letters, such as "oci://registry.example.org/fleet/shoots", without tag and digest: they have keys of their own`)
	errEncoded  = errors.New(`write the path without "%23", "%25", "%2F" and "%3F", which Flux decodes before it asks the server`)
	errQuery    = errors.New(`write it without "?" and "#" and what follows`)
)

func normaliseURL(raw string) string {
	u, err := parseURL(raw)
	if err != nil {
		return raw
	}
	return u.String()
}

func validateURL(raw string) detail {
	_, err := parseURL(raw)
	if err == nil {
		return nil
	}
	return func(path *field.Path) *field.Error {
		text := err.Error()
		if at, ok := strings.CutSuffix(path.String(), fieldURL); ok {
			text = strings.ReplaceAll(text, keyType, at+fieldType)
		}
		return field.Invalid(path, echoURL(raw), text)
	}
}

// requireURL wants one if anything else is said of the repository.
func requireURL(c *fluxv1alpha1.FluxConfig, _ naming) detail {
	if c.Repository.URL == "" {
		return required(fmt.Sprintf("the other keys of the repository are written: %s, or remove the other keys to install only Flux", writeURL))
	}
	return nil
}

// echoURL omits a URL in which something may be a secret: before any "@" but that of "git@", and behind
// "?" and "#".
func echoURL(raw string) any {
	_, rest, found := strings.Cut(raw, "://")
	if !found {
		rest = raw
	}
	if strings.ContainsAny(strings.TrimPrefix(rest, "git@"), "@?#") || strings.Contains(rest, "%40") {
		return field.OmitValueType{}
	}
	return echo(raw)
}

// parseURL gives the URL in its normal form. No error repeats a part of it.
func parseURL(raw string) (*url.URL, error) {
	u, err := splitURL(raw)
	if err != nil {
		return nil, err
	}
	if err := checkUser(u); err != nil {
		return nil, err
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || strings.Contains(raw, "#") {
		return nil, errQuery
	}
	if !validHost(u) {
		return nil, errHost
	}
	if strings.Trim(u.Path, "/") == "" {
		return nil, errPath
	}
	if strings.ContainsFunc(u.Path, func(r rune) bool { return !unicode.IsPrint(r) || r == unicode.ReplacementChar }) {
		return nil, errForm
	}
	if err := checkFlux(u); err != nil {
		return nil, err
	}
	return u, nil
}

// checkFlux refuses what Git can do and Flux can't. test/gitclient compares with Flux's Git client.
func checkFlux(u *url.URL) error {
	if u.Scheme == schemeOCI {
		if !artifactPath.MatchString(u.Path) {
			return errArtifact
		}
		return nil
	}
	if u.Scheme != schemeSSH {
		// github.com/go-git/go-git/v5/plumbing/transport.Endpoint holds the decoded path, and writes it into the URL of its requests.
		if encoded.MatchString(u.EscapedPath()) {
			return errEncoded
		}
		return nil
	}
	switch {
	// go-git dials "[[2001:db8::1]]:22" since v5.9, and dialed "2001:db8::1:22" before v5.7.
	case strings.HasPrefix(u.Host, "["):
		return errIPv6
	// Only Git drops the slash before "~".
	case u.Path == "/~" || strings.HasPrefix(u.Path, "/~/"):
		return errHome
	// Up to v5.13 at least, go-git wrote the path between "'" as it is.
	case strings.Contains(u.Path, "'"):
		return errQuote
	}
	return nil
}

func splitURL(raw string) (*url.URL, error) {
	if !strings.Contains(raw, "://") {
		match := scpForm.FindStringSubmatch(raw)
		if match == nil {
			return nil, errForm
		}
		u := &url.URL{Scheme: schemeSSH, Host: strings.ToLower(match[2]), Path: "/" + strings.TrimLeft(match[3], "/")}
		if match[1] != "" {
			u.User = url.User(match[1])
		}
		if strings.ContainsAny(u.Path, "?#") {
			return nil, errQuery
		}
		if inHome.MatchString(match[3]) {
			return nil, errHome
		}
		return u, nil
	}
	// The error of url.Parse repeats the URL.
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errForm
	}
	if _, ok := defaultPorts[u.Scheme]; !ok {
		return nil, errScheme
	}
	u.Host = strings.TrimSuffix(strings.ToLower(u.Host), ":")
	if u.Scheme != schemeSSH {
		// Git drops them too. Flux would ask for "…//info/refs".
		u.Path, u.RawPath = strings.TrimRight(u.Path, "/"), strings.TrimRight(u.RawPath, "/")
	}
	return u, nil
}

// checkUser allows a user for SSH only. There it is a name, whereas in an https:// URL it is often a token.
func checkUser(u *url.URL) error {
	if u.User == nil {
		return nil
	}
	if u.Scheme != schemeSSH {
		return errSecret
	}
	if _, hasPassword := u.User.Password(); hasPassword {
		return errPassword
	}
	if !userName.MatchString(u.User.Username()) {
		return errUser
	}
	return nil
}

func validHost(u *url.URL) bool {
	if port := u.Port(); port != "" {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return false
		}
	}
	if strings.HasPrefix(u.Host, "[") {
		address, err := netip.ParseAddr(u.Hostname())
		return err == nil && address.Zone() == ""
	}
	return len(u.Hostname()) <= 253 && hostName.MatchString(u.Hostname())
}

// HostPort is the "name:port" of the Git server at a URL. The port is the scheme's default port if the URL has none.
// It is "" if the URL is invalid.
func HostPort(repositoryURL string) string {
	u, err := parseURL(repositoryURL)
	if err != nil {
		return ""
	}
	return hostPort(u)
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = defaultPorts[u.Scheme]
	}
	return net.JoinHostPort(u.Hostname(), port)
}
