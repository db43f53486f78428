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
)

// pathNotFound is how kustomize-controller says that the repository has no such directory. It has the same reason as an artifact
// that can't be downloaded.
const pathNotFound = "kustomization path not found"

const (
	// emptyGitRepository is a reason of source-controller, and accessDenied one of kustomize-controller, that their APIs don't name.
	emptyGitRepository = "EmptyGitRepository"
	accessDenied       = "AccessDenied"
)

// verificationReasons are those of source-controller if a signature is missing or another one, most of which its API does not name.
var verificationReasons = []string{
	sourcev1.VerificationError, "VerificationFailed", "InvalidVerificationMode", "InvalidGitObject", "InvalidTagSignature", "InvalidCommitSignature",
}

// storageReasons are those of source-controller if it has read the source, but not stored what it read. The last ones are
// what remains if it names no fault (summarize.go of source-controller).
var storageReasons = []string{
	sourcev1.DirCreationFailedReason, sourcev1.StatOperationFailedReason, sourcev1.InvalidPathReason, sourcev1.ArchiveOperationFailedReason,
	sourcev1.AcquireLockFailedReason, sourcev1.CacheOperationFailedReason, sourcev1.StorageOperationFailedCondition, "SourceIgnoreError", "IllegalPath", "CopyFailure",
	"GarbageCollectionFailed", fluxmeta.FailedReason, fluxmeta.ProgressingReason, fluxmeta.ProgressingWithRetryReason,
}

// explainSource says why Flux can't read the source.
func explainSource(o Observation, reason, message string) Readiness {
	switch {
	case slices.Contains(storageReasons, reason):
		return failed(ArtifactFailed, fmt.Sprintf("Flux can't store what it reads of %s: look at its source-controller in the shoot, whose disk may be full", o.content()), message)
	case slices.Contains(verificationReasons, reason):
		return failed(VerificationFailed, adviseSignature(o, message), message)
	case slices.Contains(messagesOfServers[o.SourceKind.GroupKind], reason):
		if fault := faultOf(o, message); fault != nil {
			return failed(fault.reasonFor(o), fault.advice(o), message)
		}
	case !hasOwnKey(o) && (reason == sourcev1.AuthenticationFailedReason || reason == sourcev1.InvalidProviderConfigurationReason):
		return failed(AuthenticationFailed, adviseSecret(o), message)
	case reason == sourcev1.URLInvalidReason:
		return failed(FetchFailed, fmt.Sprintf("Flux can't do anything with the address %s: correct %s", o.Source.URL, o.where("url")), message)
	}
	// Other reasons are about the source itself and its Secret in the shoot.
	return failed(FetchFailed, "Flux can't read "+o.content(), message)
}

// explainKustomization says why the shoot does not get the repository's content.
func explainKustomization(o Observation, ready *metav1.Condition) Readiness {
	path, message, content := o.Kustomization.Spec.Path, ready.Message, o.SourceKind.Content
	switch ready.Reason {
	case fluxmeta.ArtifactFailedReason:
		return explainArtifact(o, ready)
	case fluxmeta.HealthCheckCanceledReason:
		return o.underWay(Applying, "Flux is applying "+artifactOf(o), ready.LastTransitionTime.Time, o.Kustomization.GetTimeout())
	case fluxmeta.BuildFailedReason:
		return failed(BuildFailed, fmt.Sprintf("kustomize can't build directory %q of the %s: correct what it names there (kustomize build %s)", path, content, path), message)
	case fluxmeta.HealthCheckFailedReason:
		return failed(HealthCheckFailed, "the "+content+"'s content was applied, but does not become healthy in the shoot", message)
	case fluxmeta.PruneFailedReason:
		return failed(ApplyFailed, "the shoot does not let Flux delete what the "+content+" no longer has: correct what keeps it", message)
	case sourcev1.DirCreationFailedReason:
		return failed(ArtifactFailed, "Flux has no place to unpack the "+content+": look at its kustomize-controller in the shoot, whose disk may be full", message)
	case fluxmeta.DependencyNotReadyReason:
		return failed(ApplyFailed, adviseDependency(o), message)
	case fluxmeta.InvalidCELExpressionReason, fluxmeta.FeatureGateDisabledReason, accessDenied:
		return failed(ApplyFailed, adviseKustomization(o, ready.Reason), message)
	}
	return failed(ApplyFailed, "the shoot does not take the "+content+"'s content: correct what it refuses", message)
}

// explainArtifact says why kustomize-controller has not got what source-controller read. It comes back for it every 30 seconds.
func explainArtifact(o Observation, ready *metav1.Condition) Readiness {
	path := o.Kustomization.Spec.Path
	if strings.Contains(ready.Message, pathNotFound) {
		return failed(PathNotFound, fmt.Sprintf("the %s has no directory %q: add it, or correct %s", o.SourceKind.Content, path, o.where("path")), ready.Message)
	}
	since := ready.LastTransitionTime
	if fetched := o.Source.Artifact.LastUpdateTime; since.Before(&fetched) {
		since = fetched
	}
	if isNotFetchedYet(o.SourceKind, ready.Message) && !o.overdue(since.Time, 0) {
		return progressing(Applying, "Flux is applying "+artifactOf(o))
	}
	return failed(ArtifactFailed, fmt.Sprintf("Flux has read the %s, but its kustomize-controller can't get that from its source-controller in the shoot: look at what is between them "+
		"(NetworkPolicies in namespace %s, DNS, proxy)", o.SourceKind.Content, o.Namespace), ready.Message)
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
