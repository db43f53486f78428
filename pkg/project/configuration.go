// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package project reads what a project's admin wrote: which Flux release the shoots of the project get,
// and which Git repository they follow.
//
// The package does no I/O. ConfigMap flux-config is read into the typed Configuration by one table of keys. From the same table come
// defaults and rules, the digest, the hints for unknown keys, and what is generated: the README's table and lists of the admission
// policy (hack/configuration-keys).
package project

import (
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

const (
	typePrivate = "private"
	typePublic  = "public"

	allow  = "true"
	refuse = "false"
)

// Configuration is what a project's admin wants for the shoots of the project. Each field has a row in keys.
type Configuration struct {
	// FluxVersion is a release with leading "v", such as "v2.9.4", a range of releases as github.com/Masterminds/semver
	// reads it, such as "2.x" or "~2.9.0", or VersionLatest.
	FluxVersion string
	// AllowDowngrade lets FluxVersion replace a newer release that a shoot already has.
	AllowDowngrade bool
	// Repository is nil if only Flux is to be installed.
	Repository *Repository
	// Installation tells whose the Flux installation is after it has been made.
	Installation fluxv1alpha1.InstallationMode
	// RemovalPolicy tells what happens in a shoot in which the extension is switched off.
	RemovalPolicy fluxv1alpha1.RemovalPolicy
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

// The keys that sentences and the digest name.
const (
	keyVersion        = "fluxVersion"
	keyAllowDowngrade = "allowDowngrade"
	keyURL            = "repositoryUrl"
	keyBranch         = "repositoryBranch"
	keyType           = "repositoryType"
	keyPath           = "repositoryPath"
	keyKnownHosts     = "knownHosts"
	keyInstallation   = "installation"
	keyRemovalPolicy  = "removalPolicy"
)

// keys are all keys of ConfigMap flux-config. Their order is that of the problems that are reported, and of the README.
var keys = []Key{
	{
		Name: keyVersion, Default: VersionLatest,
		Meaning:   "[Flux release](docs/usage/flux-versions.md): `v2.9.4`, `2.9.4`, a range such as `2.x` or `~2.9.0`, or `latest`",
		field:     text(func(c *Configuration) *string { return &c.FluxVersion }),
		normalise: func(c *Configuration) { c.FluxVersion = normaliseVersion(c.FluxVersion) },
		validate:  validateVersion,
	},
	{
		Name: keyAllowDowngrade, Default: refuse,
		Meaning: "`true`: `fluxVersion` may be older than what a shoot has",
		OneOf:   []string{allow, refuse},
		field:   either(allow, refuse, func(c *Configuration) *bool { return &c.AllowDowngrade }),
	},
	{
		Name: keyURL, Repository: true,
		Meaning:   "`https://…`, `http://…`, `ssh://…`, or `git@host:owner/repository.git`",
		field:     text(func(c *Configuration) *string { return &c.Repository.URL }),
		normalise: func(c *Configuration) { c.Repository.URL = normaliseURL(c.Repository.URL) },
		validate:  validateURL,
	},
	{
		Name: keyBranch, Default: DefaultBranch, Repository: true,
		Meaning:  "branch to follow",
		field:    text(func(c *Configuration) *string { return &c.Repository.Branch }),
		validate: validateBranch,
	},
	{
		Name: keyType, Default: typePublic, Repository: true,
		Meaning:          "`private`: authenticate with the project's SSH key. `public`: no credentials",
		OneOf:            []string{typePrivate, typePublic},
		field:            either(typePrivate, typePublic, func(c *Configuration) *bool { return &c.Repository.Private }),
		validateTogether: validateAccess,
	},
	{
		Name: keyPath, Default: DefaultPath, Repository: true,
		Meaning:   "directory of the root Kustomization",
		field:     text(func(c *Configuration) *string { return &c.Repository.Path }),
		normalise: func(c *Configuration) { c.Repository.Path = normalisePath(c.Repository.Path) },
		validate:  validatePath,
	},
	{
		Name: keyKnownHosts, MaxLength: knownhosts.MaxLength, Repository: true, multiline: true,
		Meaning:          "`known_hosts` lines for the Git server",
		Without:          "the published keys of well-known forges; any other server is asked once, and what it said is kept in Secret `flux-source`",
		field:            text(func(c *Configuration) *string { return &c.Repository.KnownHosts }),
		normalise:        func(c *Configuration) { c.Repository.KnownHosts = normaliseKnownHosts(c.Repository) },
		validateTogether: validateKnownHosts,
	},
	{
		Name: keyInstallation, Default: string(fluxv1alpha1.InstallationManaged),
		Meaning: "`managed`: the extension repairs and upgrades Flux. " +
			"`once`: after it is installed, [it is the shoot's users'](docs/usage/removal-and-ownership.md#whose-flux-is)",
		OneOf: []string{string(fluxv1alpha1.InstallationManaged), string(fluxv1alpha1.InstallationOnce)},
		field: text(func(c *Configuration) *fluxv1alpha1.InstallationMode { return &c.Installation }),
		shoot: func(f *fluxv1alpha1.FluxConfig) string { return string(f.Installation) },
	},
	{
		Name: keyRemovalPolicy, Default: string(fluxv1alpha1.RemovalKeepWorkloads),
		Meaning: "what happens when the extension [is switched off](docs/usage/removal-and-ownership.md#when-the-extension-is-switched-off): " +
			"`keep-workloads`, `delete-workloads` or `keep-flux`",
		OneOf: []string{
			string(fluxv1alpha1.RemovalKeepWorkloads), string(fluxv1alpha1.RemovalDeleteWorkloads), string(fluxv1alpha1.RemovalKeepFlux),
		},
		field: text(func(c *Configuration) *fluxv1alpha1.RemovalPolicy { return &c.RemovalPolicy }),
		shoot: func(f *fluxv1alpha1.FluxConfig) string { return string(f.RemovalPolicy) },
	},
}
