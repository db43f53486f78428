// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package project reads what a project's admin wrote: which Flux release the shoots of the project get,
// and which Git repository they follow.
//
// The package does no I/O. ConfigMap flux-config is read into the typed FluxConfig by one table of keys. From the same table come
// defaults and rules, the digest, the hints for unknown keys, and what is generated: the README's table and lists of the admission
// policy (hack/configuration-keys).
package project

import (
	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

const (
	// VersionLatest is the version that follows Flux's latest release.
	VersionLatest = version.Latest
	// DefaultBranch is followed if no branch is written.
	DefaultBranch = "main"
	// DefaultPath is the root directory of the repository.
	DefaultPath = "./"
)

const (
	allow  = "true"
	refuse = "false"
)

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
		field:     text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Flux.Version }),
		normalise: func(c *fluxv1alpha1.FluxConfig) { c.Flux.Version = normaliseVersion(c.Flux.Version) },
		validate:  validateVersion,
	},
	{
		Name: keyAllowDowngrade, Default: refuse,
		Meaning: "`true`: `fluxVersion` may be older than what a shoot has",
		OneOf:   []string{allow, refuse},
		field:   yesOrNo(func(c *fluxv1alpha1.FluxConfig) **bool { return &c.Flux.AllowDowngrade }),
	},
	{
		Name: keyURL, Repository: true,
		Meaning:   "`https://…`, `http://…`, `ssh://…`, or `git@host:owner/repository.git`",
		field:     text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.URL }),
		normalise: func(c *fluxv1alpha1.FluxConfig) { c.Repository.URL = normaliseURL(c.Repository.URL) },
		validate:  validateURL,
	},
	{
		Name: keyBranch, Default: DefaultBranch, Repository: true,
		Meaning:  "branch to follow",
		field:    text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Branch }),
		validate: validateBranch,
	},
	{
		Name: keyType, Default: string(fluxv1alpha1.RepositoryPublic), Repository: true,
		Meaning:          "`private`: read it with [the credentials in Secret `flux-source`](docs/usage/private-repositories.md). `public`: no credentials",
		OneOf:            []string{string(fluxv1alpha1.RepositoryPrivate), string(fluxv1alpha1.RepositoryPublic)},
		field:            text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.RepositoryType { return &c.Repository.Type }),
		validateTogether: validateAccess,
	},
	{
		Name: keyPath, Default: DefaultPath, Repository: true,
		Meaning:   "directory of the root Kustomization",
		field:     text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Path }),
		normalise: func(c *fluxv1alpha1.FluxConfig) { c.Repository.Path = normalisePath(c.Repository.Path) },
		validate:  validatePath,
	},
	{
		Name: keyKnownHosts, MaxLength: knownhosts.MaxLength, Repository: true, multiline: true,
		Meaning:          "`known_hosts` lines for the Git server",
		Without:          "the published keys of well-known forges; any other server is asked once, and what it said is kept in Secret `flux-source`",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.KnownHosts }),
		normalise:        func(c *fluxv1alpha1.FluxConfig) { c.Repository.KnownHosts = normaliseKnownHosts(c.Repository) },
		validateTogether: validateKnownHosts,
	},
	{
		Name: keyInstallation, Default: string(fluxv1alpha1.InstallationManaged),
		Meaning: "`managed`: the extension repairs and upgrades Flux. " +
			"`once`: after it is installed, [it is the shoot's users'](docs/usage/removal-and-ownership.md#whose-flux-is)",
		OneOf: []string{string(fluxv1alpha1.InstallationManaged), string(fluxv1alpha1.InstallationOnce)},
		field: text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.InstallationMode { return &c.Installation }),
		shoot: func(f *fluxv1alpha1.FluxConfig) string { return string(f.Installation) },
	},
	{
		Name: keyRemovalPolicy, Default: string(fluxv1alpha1.RemovalKeepWorkloads),
		Meaning: "what happens when the extension [is switched off](docs/usage/removal-and-ownership.md#when-the-extension-is-switched-off): " +
			"`keep-workloads`, `delete-workloads` or `keep-flux`",
		OneOf: []string{
			string(fluxv1alpha1.RemovalKeepWorkloads), string(fluxv1alpha1.RemovalDeleteWorkloads), string(fluxv1alpha1.RemovalKeepFlux),
		},
		field: text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.RemovalPolicy { return &c.RemovalPolicy }),
		shoot: func(f *fluxv1alpha1.FluxConfig) string { return string(f.RemovalPolicy) },
	},
}
