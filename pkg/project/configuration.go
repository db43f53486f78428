// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package project reads what has been written for the shoots of a project: which Flux release they get, and what they follow.
//
// The package does no I/O. It is written in layers, of which the later ones count more: defaults of the landscape, ConfigMap flux-config of the
// project, its overrides for shoots with certain labels, and the providerConfig of a shoot (Read, Configuration.Effective). Behind that, everything
// works on one FluxConfig, which is complete and valid.
//
// The flat keys of the ConfigMap are shorthand for fields of FluxConfig, by one table of keys. From the same table come defaults and rules, the
// digest, the hints for what is unknown, and what is generated: the README's table and lists of the admission policy (hack/configuration-keys).
package project

import (
	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

const (
	// VersionLatest is the version that follows Flux's latest release.
	VersionLatest = version.Latest
	// DefaultBranch is followed if no reference is written.
	DefaultBranch = "main"
	// DefaultPath is the root directory of the repository.
	DefaultPath = "./"
)

const (
	allow  = "true"
	refuse = "false"

	overridesAllowed   = "allow"
	overridesForbidden = "deny"
)

// The keys that the digest names.
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

// The keys that stand for no field.
const (
	keyShootOverrides = "shootOverrides"
	keyConfig         = "config"
	keyOverrides      = "overrides"
)

// keys are all keys of ConfigMap flux-config. Their order is that of the problems that are reported, and of the README.
var keys = []Key{
	{
		Name: keyVersion, Field: fieldVersion, Default: VersionLatest,
		Meaning:   "[Flux release](docs/usage/flux-versions.md): `v2.9.4`, `2.9.4`, a range such as `2.x` or `~2.9.0`, or `latest`",
		field:     text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Flux.Version }),
		normalise: func(c *fluxv1alpha1.FluxConfig) { c.Flux.Version = normaliseVersion(c.Flux.Version) },
		validate:  validateVersion,
	},
	{
		Name: keyAllowDowngrade, Field: "flux.allowDowngrade", Default: refuse,
		Meaning: "`true`: `fluxVersion` may be older than what a shoot has",
		OneOf:   []string{allow, refuse},
		field:   yesOrNo(func(c *fluxv1alpha1.FluxConfig) **bool { return &c.Flux.AllowDowngrade }),
	},
	{
		Name: keyURL, Field: fieldURL,
		Meaning:          "`https://…`, `http://…`, `ssh://…`, or `git@host:owner/repository.git` for Git; `oci://…` for artifacts",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.URL }),
		normalise:        func(c *fluxv1alpha1.FluxConfig) { c.Repository.URL = normaliseURL(c.Repository.URL) },
		validate:         validateURL,
		together:         []string{"repository"},
		validateTogether: requireURL,
	},
	{
		Name: keyBranch, Field: fieldBranch, Default: DefaultBranch,
		Meaning:          "branch to follow",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Branch }),
		without:          func(c *fluxv1alpha1.FluxConfig) bool { return c.Repository.IsOCI() || hasReference(c.Repository) },
		validate:         validateBranch,
		together:         []string{fieldURL},
		validateTogether: onlyForGit(func(r *fluxv1alpha1.Repository) string { return r.Branch }),
	},
	{
		Name: "repositoryTag", Field: fieldTag,
		Meaning:          "tag to follow in place of a branch, of Git or of artifacts",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Tag }),
		validate:         validateTag,
		together:         []string{fieldURL},
		validateTogether: requireReference,
	},
	{
		Name: "repositorySemver", Field: fieldSemver, MaxLength: 256,
		Meaning:  "range of versions, such as `1.x`: the newest tag within it is followed, of Git or of artifacts",
		field:    text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Semver }),
		validate: validateSemver,
	},
	{
		Name: "repositoryCommit", Field: fieldCommit,
		Meaning:          "SHA of a Git commit",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Commit }),
		validate:         validateCommit,
		together:         []string{fieldURL},
		validateTogether: onlyForGit(func(r *fluxv1alpha1.Repository) string { return r.Commit }),
	},
	{
		Name: "repositoryRefName", Field: fieldRefName,
		Meaning:          "full name of a Git reference, such as `refs/pull/420/head`",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.RefName }),
		validate:         validateRefName,
		together:         []string{fieldURL},
		validateTogether: onlyForGit(func(r *fluxv1alpha1.Repository) string { return r.RefName }),
	},
	{
		Name: "repositoryDigest", Field: fieldDigest,
		Meaning:          "digest of an artifact, such as `sha256:5f0c…`",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Digest }),
		validate:         validateDigest,
		together:         []string{fieldURL},
		validateTogether: onlyForArtifacts(func(r *fluxv1alpha1.Repository) string { return r.Digest }),
	},
	{
		Name: keyType, Field: fieldType, Default: string(fluxv1alpha1.RepositoryPublic),
		Meaning:          "`private`: authenticate with [the credentials in Secret `flux-source`](docs/usage/private-repositories.md). `public`: no credentials",
		OneOf:            []string{string(fluxv1alpha1.RepositoryPrivate), string(fluxv1alpha1.RepositoryPublic)},
		field:            text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.RepositoryType { return &c.Repository.Type }),
		together:         []string{fieldURL},
		validateTogether: validateAccess,
	},
	{
		Name: keyPath, Field: fieldPath, Default: DefaultPath,
		Meaning:   "directory of the root Kustomization",
		field:     text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.Path }),
		normalise: func(c *fluxv1alpha1.FluxConfig) { c.Repository.Path = normalisePath(c.Repository.Path) },
		validate:  validatePath,
	},
	{
		Name: keyKnownHosts, Field: fieldKnownHosts, MaxLength: knownhosts.MaxLength, multiline: true,
		Meaning:          "`known_hosts` lines for the Git server",
		Without:          "the published keys of well-known forges; any other server is asked once, and what it said is kept in Secret `flux-source`",
		field:            text(func(c *fluxv1alpha1.FluxConfig) *string { return &c.Repository.KnownHosts }),
		normalise:        func(c *fluxv1alpha1.FluxConfig) { c.Repository.KnownHosts = normaliseKnownHosts(c.Repository) },
		together:         []string{fieldURL},
		validateTogether: validateKnownHosts,
	},
	{
		Name: "verifyKeys", Field: fieldVerifyKeys, MaxLength: maxVerifyKeysLength, multiline: true,
		Meaning:          "public keys, by one of which what is followed must be signed: of cosign in PEM form for artifacts, armoured PGP keys for Git",
		Without:          "signatures are not looked at",
		field:            verification(func(v *fluxv1alpha1.Verification) *string { return &v.Keys }),
		together:         []string{fieldURL},
		validateTogether: validateVerifyKeys,
	},
	{
		Name: "verifyIssuer", Field: fieldVerifyIssuer, MaxLength: maxIdentityLength,
		Meaning:          "regular expression for the OIDC issuer of who signs artifacts without key",
		field:            verification(func(v *fluxv1alpha1.Verification) *string { return &v.Issuer }),
		together:         []string{fieldURL, fieldVerifySubject, fieldVerifyKeys},
		validate:         validateExpression,
		validateTogether: validateIdentity(fieldVerifySubject),
	},
	{
		Name: "verifySubject", Field: fieldVerifySubject, MaxLength: maxIdentityLength,
		Meaning:          "regular expression for the identity of who signs artifacts without key",
		field:            verification(func(v *fluxv1alpha1.Verification) *string { return &v.Subject }),
		together:         []string{fieldURL, fieldVerifyIssuer, fieldVerifyKeys},
		validate:         validateExpression,
		validateTogether: validateIdentity(fieldVerifyIssuer),
	},
	{
		Name: keyInstallation, Field: fieldInstallation, Default: string(fluxv1alpha1.InstallationManaged),
		Meaning: "`managed`: the extension repairs and upgrades Flux. " +
			"`once`: after it is installed, [it is the shoot's users'](docs/usage/removal-and-ownership.md#whose-flux-is)",
		OneOf: []string{string(fluxv1alpha1.InstallationManaged), string(fluxv1alpha1.InstallationOnce)},
		field: text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.InstallationMode { return &c.Installation }),
	},
	{
		Name: "syncMode", Field: fieldSyncMode, Default: string(fluxv1alpha1.SyncManaged),
		Meaning: "`Managed`: the extension keeps the source and the Kustomization as they should be. `Once`: after they are made, they are the shoot's users'. " +
			"`ManifestsOnly`: as `Managed`, and Flux itself as with `installation: once`",
		OneOf:            []string{string(fluxv1alpha1.SyncManaged), string(fluxv1alpha1.SyncManifestsOnly), string(fluxv1alpha1.SyncOnce)},
		field:            text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.SyncMode { return &c.SyncMode }),
		together:         []string{fieldInstallation},
		validateTogether: validateSyncMode,
	},
	{
		Name: keyRemovalPolicy, Field: fieldRemovalPolicy, Default: string(fluxv1alpha1.RemovalKeepWorkloads),
		Meaning: "what happens when the extension [is switched off](docs/usage/removal-and-ownership.md#when-the-extension-is-switched-off): " +
			"`keep-workloads`, `delete-workloads` or `keep-flux`",
		OneOf: []string{
			string(fluxv1alpha1.RemovalKeepWorkloads), string(fluxv1alpha1.RemovalDeleteWorkloads), string(fluxv1alpha1.RemovalKeepFlux),
		},
		field: text(func(c *fluxv1alpha1.FluxConfig) *fluxv1alpha1.RemovalPolicy { return &c.RemovalPolicy }),
	},
	{
		Name: "suspend", Field: "suspend", Default: refuse,
		Meaning: "`true`: Flux stops following, and what runs stays as it is",
		OneOf:   []string{allow, refuse},
		field:   yesOrNo(func(c *fluxv1alpha1.FluxConfig) **bool { return &c.Suspend }),
	},
	{
		Name: keyShootOverrides, Default: overridesAllowed,
		Meaning: "`deny`: what a shoot's `providerConfig` says is refused",
		OneOf:   []string{overridesAllowed, overridesForbidden},
	},
	{
		Name: keyConfig, MaxLength: maxConfigLength, multiline: true,
		Meaning: "a [FluxConfig](docs/usage/configuration.md) for what has no key of its own",
	},
	{
		Name: keyOverrides, MaxLength: maxOverridesLength, multiline: true,
		Meaning: "a list of `selector` and `config`: [what is different](docs/usage/configuration.md#overrides-by-labels) for shoots with certain labels",
	},
}
