// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// pathNotFound is how kustomize-controller says that the repository has no such directory. It has the same reason as an artifact
// that can't be downloaded.
const pathNotFound = "kustomization path not found"

const (
	// emptyGitRepository is a reason of source-controller, and accessDenied one of kustomize-controller, that their APIs don't name.
	emptyGitRepository = "EmptyGitRepository"
	accessDenied       = "AccessDenied"
)

// storageReasons are those of source-controller if it has read the repository, but not stored what it read. The last ones are
// what remains if it names no fault (summarize.go of source-controller).
var storageReasons = []string{
	sourcev1.DirCreationFailedReason, sourcev1.StatOperationFailedReason, sourcev1.InvalidPathReason, sourcev1.ArchiveOperationFailedReason,
	sourcev1.AcquireLockFailedReason, sourcev1.CacheOperationFailedReason, sourcev1.StorageOperationFailedCondition, "SourceIgnoreError", "IllegalPath", "CopyFailure",
	"GarbageCollectionFailed", fluxmeta.FailedReason, fluxmeta.ProgressingReason, fluxmeta.ProgressingWithRetryReason,
}

// explainSource says why Flux can't read the repository.
func explainSource(o Observation, reason, message string) Readiness {
	if slices.Contains(storageReasons, reason) {
		return failed(ArtifactFailed, fmt.Sprintf("Flux can't store what it reads of the repository %s: look at its source-controller in the shoot, whose disk may be full", o.Source.URL), message)
	}
	// Other reasons are about the source and its Secret in the shoot.
	if reason == sourcev1.GitOperationFailedReason || reason == emptyGitRepository {
		if fault := faultOf(o, message); fault != nil {
			return failed(fault.reason, fault.advice(o), message)
		}
	}
	return failed(FetchFailed, "Flux can't read the repository "+o.Source.URL, message)
}

func adviseKey(o Observation) string {
	if !isPrivate(o) {
		return fmt.Sprintf("the Git server wants credentials for %s: for a private repository, set repositoryType to private and write its SSH URL in %s", o.Source.URL, configMapOf(o))
	}
	return withKey(o, func(url, key string) string {
		return fmt.Sprintf("the Git server does not accept the project's key for %s: register this public key there as a read-only deploy key: %s", url, key)
	})
}

// isPrivate tells whether Flux has credentials for the repository.
func isPrivate(o Observation) bool {
	return o.Told.PublicKey != "" || o.Source.HasCredentials
}

// withKey makes a sentence with the repository's URL and the whole public key, for which a long URL is shortened. If even so
// there is no room for the key, or if the extension has not told it yet, it says where the key is.
func withKey(o Observation, sentence func(url, key string) string) string {
	const shortURL = 80
	url, key := o.Source.URL, o.Told.PublicKey
	for _, url := range []string{url, Shorten(url, shortURL)} {
		if text := sentence(url, key); key != "" && len(text) <= MaxMessage {
			return text
		}
	}
	return sentence(url, fmt.Sprintf("key %s of Secret %s/%s of the garden", source.KeyIdentityPub, o.Project, source.SecretName))
}

func adviseRepository(o Observation) string {
	if !isPrivate(o) {
		return fmt.Sprintf("the Git server does not show %s without credentials: correct %s, or, if the repository is private, set repositoryType to private there", o.Source.URL, keyOf(o, "repositoryUrl"))
	}
	return withKey(o, func(url, key string) string {
		return fmt.Sprintf("the Git server does not show %s to the project's key: correct %s, or register this public key there as a read-only deploy key: %s", url, keyOf(o, "repositoryUrl"), key)
	})
}

func adviseBranch(o Observation) string {
	return fmt.Sprintf("the repository %s has no branch %q: push it, or correct %s", o.Source.URL, o.Source.Branch, keyOf(o, "repositoryBranch"))
}

func adviseEmpty(o Observation) string {
	return fmt.Sprintf("the repository %s is empty: push branch %q, or correct %s", o.Source.URL, o.Source.Branch, keyOf(o, "repositoryUrl"))
}

func adviseSHA256(o Observation) string {
	return fmt.Sprintf("the repository %s was made with SHA-256, which Flux can't read: put its content into one that was made with SHA-1, which is Git's default", o.Source.URL)
}

func adviseHostKey(o Observation) string {
	trusted := "none"
	if len(o.Told.HostKeys) > 0 {
		trusted = word(strings.Join(o.Told.HostKeys, ", "), maxURL)
	}
	presented := ""
	switch key := word(o.PresentedHostKey, maxPath); {
	case key == "":
	case slices.Contains(o.Told.HostKeys, key):
		presented = "; to the seed the server by now presents " + key + ", which is trusted: if the shoot still sees another one after a minute, something between the shoot and the server answers in its place"
	default:
		presented = "; to the seed the server presents " + key
	}
	return fmt.Sprintf("the Git server of %s does not present the host key that is trusted (%s): find out why, then correct %s, or remove the server's lines from key %s of Secret %s/%s%s",
		o.Source.URL, trusted, keyOf(o, "knownHosts"), source.KeyKnownHosts, o.Project, source.SecretName, presented)
}

func adviseHost(o Observation) string {
	return fmt.Sprintf("the shoot's DNS does not know the Git server: correct %s, or make the name known there", keyOf(o, "repositoryUrl"))
}

func adviseTimeout(o Observation) string {
	return fmt.Sprintf("Flux could not read the repository %s within %s: it is too large for the connection, or the Git server is too slow: take large files out of branch %q, or use a smaller repository",
		o.Source.URL, o.Source.Timeout, o.Source.Branch)
}

func adviseConnection(o Observation) string {
	return fmt.Sprintf("the shoot gets no good connection to the Git server: correct %s, or let the shoot's nodes reach it (firewall, proxy, certificate)", keyOf(o, "repositoryUrl"))
}

func adviseServer(o Observation) string {
	return fmt.Sprintf("the Git server can't serve the repository %s now: ask who operates it", o.Source.URL)
}

// explainKustomization says why the shoot does not get the repository's content.
func explainKustomization(o Observation, ready *metav1.Condition) Readiness {
	path, message := o.Kustomization.Spec.Path, ready.Message
	switch ready.Reason {
	case fluxmeta.ArtifactFailedReason:
		return explainArtifact(o, ready)
	case fluxmeta.HealthCheckCanceledReason:
		return o.underWay(Applying, "Flux is applying "+artifactOf(o.Source), ready.LastTransitionTime.Time, o.Kustomization.GetTimeout())
	case fluxmeta.BuildFailedReason:
		return failed(BuildFailed, fmt.Sprintf("kustomize can't build directory %q of the repository: correct what it names there (kustomize build %s)", path, path), message)
	case fluxmeta.HealthCheckFailedReason:
		return failed(HealthCheckFailed, "the repository's content was applied, but does not become healthy in the shoot", message)
	case fluxmeta.PruneFailedReason:
		return failed(ApplyFailed, "the shoot does not let Flux delete what the repository no longer has: correct what keeps it", message)
	case sourcev1.DirCreationFailedReason:
		return failed(ArtifactFailed, "Flux has no place to unpack the repository: look at its kustomize-controller in the shoot, whose disk may be full", message)
	case fluxmeta.DependencyNotReadyReason:
		return failed(ApplyFailed, "the Kustomization flux-system of the shoot waits for what somebody wrote into its dependsOn: Gardener takes that back within an hour", message)
	case fluxmeta.InvalidCELExpressionReason, fluxmeta.FeatureGateDisabledReason, accessDenied:
		return failed(ApplyFailed, "somebody changed the Kustomization flux-system of the shoot to what Flux can't do: Gardener takes that back within an hour", message)
	}
	return failed(ApplyFailed, "the shoot does not take the repository's content: correct what it refuses", message)
}

// explainArtifact says why kustomize-controller has not got what source-controller read. It comes back for it every 30 seconds.
func explainArtifact(o Observation, ready *metav1.Condition) Readiness {
	path := o.Kustomization.Spec.Path
	if strings.Contains(ready.Message, pathNotFound) {
		return failed(PathNotFound, fmt.Sprintf("the repository has no directory %q: add it, or correct %s", path, keyOf(o, "repositoryPath")), ready.Message)
	}
	since := ready.LastTransitionTime
	if fetched := o.Source.Artifact.LastUpdateTime; since.Before(&fetched) {
		since = fetched
	}
	if isNotFetchedYet(o.SourceKind, ready.Message) && !o.overdue(since.Time, 0) {
		return progressing(Applying, "Flux is applying "+artifactOf(o.Source))
	}
	return failed(ArtifactFailed, "Flux has read the repository, but its kustomize-controller can't get that from its source-controller in the shoot: look at what is between them "+
		"(NetworkPolicies in namespace flux-system, DNS, proxy)", ready.Message)
}

// isNotFetchedYet tells whether kustomize-controller speaks of a repository that had not been read, or of an artifact that was
// being replaced, at that moment.
func isNotFetchedYet(kind flux.SourceKind, message string) bool {
	message = strings.ToLower(message)
	return strings.Contains(message, "artifact not found") || strings.Contains(message, kind.Singular()) && strings.Contains(message, "not found")
}

func failed(reason, advice, message string) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionFalse, Reason: reason, Message: withWords(advice, "; Flux says: ", message)}
}

func configMapOf(o Observation) string {
	return fmt.Sprintf("ConfigMap %s/%s of the garden", o.Project, project.ConfigMapName)
}

func keyOf(o Observation, key string) string {
	return key + " in " + configMapOf(o)
}
