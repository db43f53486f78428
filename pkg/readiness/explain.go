// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"strings"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// pathNotFound is how kustomize-controller says that the repository has no such directory. It has the same reason as a
// repository that can't be read.
const pathNotFound = "kustomization path not found"

// fault is a kind of error of reading a repository.
type fault struct {
	// words are those of Flux, go-git, golang.org/x/crypto/ssh, or common Git servers. One of them is enough.
	words  []string
	reason string
	// advice is what it means, and what to do about it. It has no dot.
	advice func(Observation) string
}

// sourceFaultTable is in the order in which to look: over HTTPS, forges want credentials for a repository that does not exist.
var sourceFaultTable = []fault{
	{
		words:  []string{"knownhosts: key mismatch", "knownhosts: key is unknown", "knownhosts: key is revoked", "hostkey could not be verified"},
		reason: HostKeyMismatch,
		advice: adviseHostKey,
	},
	{
		words:  []string{"couldn't find remote ref", "reference not found", "reference 'refs/heads/"},
		reason: BranchNotFound,
		advice: adviseBranch,
	},
	{
		words: []string{
			"repository not found", "Repository not found", "does not exist, or the key is not registered", "could not be found or you don't have permission",
			"does not appear to be a git repository", "Could not read from remote repository", "remote repository is empty",
		},
		reason: RepositoryNotFound,
		advice: adviseRepository,
	},
	{
		words:  []string{"unable to authenticate", "authentication required", "authorization failed"},
		reason: AuthenticationFailed,
		advice: adviseKey,
	},
	{
		words:  []string{"no such host", "server misbehaving", "Temporary failure in name resolution"},
		reason: HostNotFound,
		advice: func(o Observation) string {
			return fmt.Sprintf("the shoot's DNS does not know the Git server: correct %s, or make the name known there", keyOf(o, "repositoryUrl"))
		},
	},
	{
		words: []string{
			"connection refused", "i/o timeout", "no route to host", "network is unreachable", "connection reset", "context deadline exceeded",
			"connection timed out", "TLS handshake timeout", "x509:",
		},
		reason: HostUnreachable,
		advice: func(o Observation) string {
			return fmt.Sprintf("the shoot gets no good connection to the Git server: correct %s, or let the shoot's nodes reach it (firewall, proxy, certificate)", keyOf(o, "repositoryUrl"))
		},
	},
}

// explainSource says why Flux can't read the repository.
func explainSource(o Observation, message string) Readiness {
	for _, fault := range sourceFaultTable {
		for _, words := range fault.words {
			if strings.Contains(message, words) {
				return failed(fault.reason, fault.advice(o), message)
			}
		}
	}
	return failed(FetchFailed, "Flux can't read the repository "+redact(o.GitRepository.Spec.URL), message)
}

func adviseKey(o Observation) string {
	url := redact(o.GitRepository.Spec.URL)
	if !isPrivate(o) {
		return fmt.Sprintf("the Git server wants credentials for %s: for a private repository, set repositoryType to private and write its SSH URL in %s", url, configMapOf(o))
	}
	return fmt.Sprintf("the Git server does not accept the project's key for %s: register this public key there as a read-only deploy key: %s", url, publicKeyOf(o))
}

// isPrivate tells whether Flux has credentials for the repository.
func isPrivate(o Observation) bool {
	return o.Told.PublicKey != "" || o.GitRepository.Spec.SecretRef != nil
}

// publicKeyOf says where the key is if the extension has not told it yet.
func publicKeyOf(o Observation) string {
	if o.Told.PublicKey != "" {
		return o.Told.PublicKey
	}
	return fmt.Sprintf("key %s of Secret %s/%s of the garden", source.KeyIdentityPub, o.Project, source.SecretName)
}

func adviseRepository(o Observation) string {
	url := redact(o.GitRepository.Spec.URL)
	if !isPrivate(o) {
		return fmt.Sprintf("the Git server does not show %s without credentials: correct %s, or, if the repository is private, set repositoryType to private there", url, keyOf(o, "repositoryUrl"))
	}
	return fmt.Sprintf("the Git server does not show %s to the project's key: correct %s, or register this public key there as a read-only deploy key: %s",
		url, keyOf(o, "repositoryUrl"), publicKeyOf(o))
}

func adviseBranch(o Observation) string {
	branch := ""
	if reference := o.GitRepository.Spec.Reference; reference != nil {
		branch = reference.Branch
	}
	return fmt.Sprintf("the repository %s has no branch %q: push it, or correct %s", redact(o.GitRepository.Spec.URL), branch, keyOf(o, "repositoryBranch"))
}

func adviseHostKey(o Observation) string {
	trusted := "none"
	if len(o.Told.HostKeys) > 0 {
		trusted = strings.Join(o.Told.HostKeys, ", ")
	}
	return fmt.Sprintf("the Git server of %s does not present the host key that is trusted (%s): find out why, then correct %s, or remove the server's lines from key %s of Secret %s/%s",
		redact(o.GitRepository.Spec.URL), trusted, keyOf(o, "knownHosts"), source.KeyKnownHosts, o.Project, source.SecretName)
}

// explainKustomization says why the shoot does not get the repository's content.
func explainKustomization(o Observation, reason, message string) Readiness {
	path := o.Kustomization.Spec.Path
	switch {
	case strings.Contains(message, pathNotFound):
		return failed(PathNotFound, fmt.Sprintf("the repository has no directory %q: add it, or correct %s", path, keyOf(o, "repositoryPath")), message)
	case reason == fluxmeta.BuildFailedReason:
		return failed(BuildFailed, fmt.Sprintf("kustomize can't build directory %q of the repository: correct what it names there (kustomize build %s)", path, path), message)
	case reason == fluxmeta.HealthCheckFailedReason:
		return failed(HealthCheckFailed, "the repository's content was applied, but does not become healthy in the shoot", message)
	}
	return failed(ApplyFailed, "the shoot does not take the repository's content: correct what it refuses", message)
}

func failed(reason, advice, message string) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionFalse, Reason: reason, Message: advice + "; Flux says: " + message}
}

func configMapOf(o Observation) string {
	return fmt.Sprintf("ConfigMap %s/%s of the garden", o.Project, project.ConfigMapName)
}

func keyOf(o Observation, key string) string {
	return key + " in " + configMapOf(o)
}
