// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package project reads what a project's admin wrote: which Flux release the shoots of the project get,
// and which Git repository they follow.
//
// The package does no I/O. A source of configuration (today ConfigMap flux-config) is read
// into the typed Configuration, which is completed by Default and checked by Validate, so that another
// source can use the same defaults and rules.
package project

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

const (
	// VersionLatest is the value of Configuration.FluxVersion that follows Flux's latest release.
	VersionLatest = version.Latest
	// DefaultBranch is followed if no branch is written.
	DefaultBranch = "main"
	// DefaultPath is the root directory of the repository.
	DefaultPath = "./"
)

// Configuration is what a project's admin wants for the shoots of the project.
type Configuration struct {
	// FluxVersion is a release with leading "v", such as "v2.9.4", a range of releases as github.com/Masterminds/semver
	// reads it, such as "2.x" or "~2.9.0", or VersionLatest.
	FluxVersion string
	// AllowDowngrade lets FluxVersion replace a newer release that a shoot already has.
	AllowDowngrade bool `json:",omitempty"` // what is not written must not change a digest of before this field existed
	// Repository is nil if only Flux is to be installed.
	Repository *Repository
	// Installation tells whose the Flux installation is after it has been made.
	Installation fluxv1alpha1.InstallationMode `json:",omitempty"`
	// RemovalPolicy tells what happens in a shoot in which the extension is switched off.
	RemovalPolicy fluxv1alpha1.RemovalPolicy `json:",omitempty"`
}

// Repository is the Git repository that the shoots follow.
type Repository struct {
	// URL has the scheme https, http or ssh, and no password.
	URL string
	// Branch is the branch to follow.
	Branch string
	// Path is the directory of the root Kustomization, starts with "./" and stays inside the repository.
	Path string
	// Private tells that the repository is read with the project's SSH key. Then URL has the scheme ssh.
	Private bool
	// KnownHosts are known_hosts lines for the Git server, or "" if the admin wrote none.
	KnownHosts string
}

// Override replaces what the project's admin wants by what the owner of one shoot has written. The result must be validated.
func (c *Configuration) Override(shoot *fluxv1alpha1.FluxConfig) {
	if shoot.Installation != "" {
		c.Installation = shoot.Installation
	}
	if shoot.RemovalPolicy != "" {
		c.RemovalPolicy = shoot.RemovalPolicy
	}
}

// Default fills in what is not written and brings what is written into its normal form. A value that has
// none, because it is invalid, stays as it is.
func (c *Configuration) Default() {
	c.FluxVersion = normaliseVersion(c.FluxVersion)
	if c.Repository != nil {
		c.Repository.setDefaults()
	}
	if c.Installation == "" {
		c.Installation = fluxv1alpha1.InstallationManaged
	}
	if c.RemovalPolicy == "" {
		c.RemovalPolicy = fluxv1alpha1.RemovalKeepWorkloads
	}
}

func (r *Repository) setDefaults() {
	r.URL = normaliseURL(r.URL)
	if r.Branch == "" {
		r.Branch = DefaultBranch
	}
	r.Path = normalisePath(r.Path)
	// The numbers of lines in sentences are those of what was written.
	if lines, errs := knownhosts.Parse(r.KnownHosts); len(errs)+len(lines.Unused(r.HostPort())) == 0 {
		r.KnownHosts = lines.String()
	}
}

// Validate says what is wrong with a Configuration after Default. Each error names the key of
// ConfigMap flux-config that it is about, and none repeats a secret.
func (c *Configuration) Validate() field.ErrorList {
	errs := validateVersion(c.FluxVersion, field.NewPath(keyVersion))
	if r := c.Repository; r != nil {
		errs = append(errs, validateURL(r.URL, field.NewPath(keyURL))...)
		errs = append(errs, validateBranch(r.Branch, field.NewPath(keyBranch))...)
		errs = append(errs, validateAccess(r, field.NewPath(keyType))...)
		errs = append(errs, validatePath(r.Path, field.NewPath(keyPath))...)
		errs = append(errs, validateKnownHosts(r, field.NewPath(keyKnownHosts))...)
	}
	errs = append(errs, validateChoice(c.Installation, keyInstallation, fluxv1alpha1.InstallationManaged, fluxv1alpha1.InstallationOnce)...)
	return append(errs, validateChoice(c.RemovalPolicy, keyRemovalPolicy,
		fluxv1alpha1.RemovalKeepWorkloads, fluxv1alpha1.RemovalDeleteWorkloads, fluxv1alpha1.RemovalKeepFlux)...)
}

func validateChoice[T ~string](value T, key string, supported ...T) field.ErrorList {
	if slices.Contains(supported, value) {
		return nil
	}
	return field.ErrorList{field.NotSupported(field.NewPath(key), T(echo(string(value))), supported)}
}

// Digest tells two configurations apart, however they were written. It can be the value of a label.
func (c *Configuration) Digest() string {
	distinct := *c
	// What is the default must not change a digest of before these fields existed.
	if distinct.Installation == fluxv1alpha1.InstallationManaged {
		distinct.Installation = ""
	}
	if distinct.RemovalPolicy == fluxv1alpha1.RemovalKeepWorkloads {
		distinct.RemovalPolicy = ""
	}
	// Strings and a bool can always be serialized.
	data, _ := json.Marshal(distinct)
	return fmt.Sprintf("%x", sha256.Sum224(data))
}

// HostPort is the Git server's "name:port". The port is the scheme's default port if the URL has none.
// It is "" if the URL is invalid.
func (r *Repository) HostPort() string {
	u, err := parseURL(r.URL)
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
