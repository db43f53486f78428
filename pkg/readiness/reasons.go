// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"slices"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

// Reasons of status True.
const (
	// Applied means that the shoot has what the repository says.
	Applied = "Applied"
	// NoRepository means that the project wants only Flux.
	NoRepository = "NoRepository"
	// Hibernated means that the shoot sleeps.
	Hibernated = "Hibernated"
)

// Reasons of statuses Progressing and Unknown.
const (
	// NotApplied means that Flux's objects are not in the shoot yet in their current form.
	NotApplied = "NotApplied"
	// NotObserved means that Flux has not yet looked at its objects in their current form.
	NotObserved = "NotObserved"
	// Fetching means that Flux is reading the repository.
	Fetching = "Fetching"
	// Applying means that Flux is applying the repository's content.
	Applying = "Applying"
	// ShootUnreachable means that the shoot's API server does not answer.
	ShootUnreachable = "ShootUnreachable"
)

// Reasons of status False.
const (
	// Suspended means that somebody told Flux not to go on: in the shoot, or, with status True, in the configuration.
	Suspended = "Suspended"
	// BeingDeleted means that somebody deletes Flux's objects, or their namespace.
	BeingDeleted = "BeingDeleted"
	// TwoOwners means that the repository holds Flux's objects too, so that Flux writes them in turn with the extension.
	TwoOwners = "TwoOwners"

	// ControllersUnavailable means that a controller of Flux does not run in the shoot.
	ControllersUnavailable = "ControllersUnavailable"
	// NoProgress means that Flux does not get on with what it should do, though its controllers seem to run.
	NoProgress = "NoProgress"

	// AuthenticationFailed means that the server does not accept the credentials, or wants some.
	AuthenticationFailed = "AuthenticationFailed"
	// HostKeyMismatch means that the Git server presents none of the trusted host keys.
	HostKeyMismatch = "HostKeyMismatch"
	// CertificateUntrusted means that the shoot does not trust the certificate that the server presents.
	CertificateUntrusted = "CertificateUntrusted"
	// VerificationFailed means that what is to be signed is not, or not by one of those who are trusted.
	VerificationFailed = "VerificationFailed"
	// BranchNotFound means that the repository has no such branch, or is empty.
	BranchNotFound = "BranchNotFound"
	// TagNotFound means that the repository has no such tag.
	TagNotFound = "TagNotFound"
	// VersionNotFound means that no tag of the repository is in the range of versions.
	VersionNotFound = "VersionNotFound"
	// CommitNotFound means that the repository has no such commit.
	CommitNotFound = "CommitNotFound"
	// ReferenceNotFound means that the repository has no Git reference of this name.
	ReferenceNotFound = "ReferenceNotFound"
	// DigestNotFound means that the repository has no artifact with this digest.
	DigestNotFound = "DigestNotFound"
	// RepositoryNotFound means that the server knows no such repository, or does not show it to these credentials.
	RepositoryNotFound = "RepositoryNotFound"
	// BucketNotFound means that the object storage knows no such bucket.
	BucketNotFound = "BucketNotFound"
	// HostNotFound means that the name of the server is not known to the shoot's DNS.
	HostNotFound = "HostNotFound"
	// HostUnreachable means that the shoot gets no connection to the server.
	HostUnreachable = "HostUnreachable"
	// FetchTimeout means that reading the source takes longer than Flux may try.
	FetchTimeout = "FetchTimeout"
	// FetchFailed means that the source can't be read for another reason.
	FetchFailed = "FetchFailed"

	// ArtifactFailed means that Flux can read the repository, but can't store what it read, or hand it to its other controller.
	ArtifactFailed = "ArtifactFailed"
	// PathNotFound means that the repository has no such directory.
	PathNotFound = "PathNotFound"
	// BuildFailed means that kustomize can't make manifests of the directory.
	BuildFailed = "BuildFailed"
	// HealthCheckFailed means that what was applied does not become healthy.
	HealthCheckFailed = "HealthCheckFailed"
	// ApplyFailed means that the shoot refuses a manifest, or that the Kustomization fails for another reason.
	ApplyFailed = "ApplyFailed"
)

var (
	sourceFaults = []string{
		AuthenticationFailed, HostKeyMismatch, CertificateUntrusted, VerificationFailed, BranchNotFound, TagNotFound, VersionNotFound, CommitNotFound, ReferenceNotFound,
		DigestNotFound, RepositoryNotFound, BucketNotFound, HostNotFound, HostUnreachable, FetchTimeout, FetchFailed,
	}
	kustomizationFaults = []string{ArtifactFailed, PathNotFound, BuildFailed, HealthCheckFailed, ApplyFailed}
)

// Replaces tells whether a readiness replaces what was said before. It does not while Flux repeats what it does every minute
// anyway: until it is known how that ends, what is known of the last time still holds. If it does not end, it is no longer Fetching
// or Applying, but NoProgress.
func (r Readiness) Replaces(before *gardencorev1beta1.Condition) bool {
	if before == nil {
		return true
	}
	switch r.Reason {
	case Fetching:
		return before.Reason != Applied && before.Reason != ArtifactFailed && !slices.Contains(sourceFaults, before.Reason)
	case Applying:
		return before.Reason != Applied && !slices.Contains(kustomizationFaults, before.Reason)
	}
	return true
}
