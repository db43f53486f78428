// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FluxReady is the type of the condition of an Extension of type shoot-flux that tells whether Flux follows the repository in
// the shoot. Gardener does not take it over into the Shoot.
const FluxReady = "FluxReady"

// FluxStatus is what field status.providerStatus of an Extension of type shoot-flux holds.
//
// +kubebuilder:object:root=true
type FluxStatus struct {
	metav1.TypeMeta `json:",inline"`

	// Version is the Flux release that the shoot gets, such as v2.9.4. Whether it runs yet is told by the conditions.
	Version string `json:"version"`
	// Requested is what the project's configuration asks for: a release, a range of releases, or latest.
	Requested string `json:"requested"`
	// Origin tells where the release's manifests came from: embedded, directory, oci or downloaded.
	Origin string `json:"origin"`
	// Source tells exactly where: a URL, an OCI reference with its digest, or a path. It is empty if Origin says it all.
	//
	// +optional
	Source string `json:"source,omitempty"`
	// Digest identifies the release's manifests: sha256: and 64 hexadecimal digits.
	Digest string `json:"digest"`
	// ResolvedFor is the annotation gardener.cloud/timestamp that the Extension had when a range or latest was last resolved.
	// Until Gardener's next request, which has another one, the release stays. It is empty if Requested is a release.
	//
	// +optional
	ResolvedFor string `json:"resolvedFor,omitempty"`
	// RepositoryURL is the Git repository that the shoot follows. It has no password. It is empty if only Flux is installed.
	//
	// +optional
	RepositoryURL string `json:"repositoryURL,omitempty"`
	// Revision is what the shoot has of the repository, such as main@sha1:5f0c…: what Flux last applied.
	//
	// +optional
	Revision string `json:"revision,omitempty"`
	// PublicKey is the line to register at the Git server of a private repository.
	//
	// +optional
	PublicKey string `json:"publicKey,omitempty"`
	// HostKeys are the keys by which the Git server of a private repository is recognised, as type and SHA-256 fingerprint:
	// "ssh-ed25519 SHA256:…".
	//
	// +optional
	HostKeys []string `json:"hostKeys,omitempty"`
}
