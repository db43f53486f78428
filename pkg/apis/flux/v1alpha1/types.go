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
	// Origin tells where the release's manifests came from: embedded, directory, oci or downloaded; or shoot, if the Flux in
	// the shoot belongs to its users.
	Origin string `json:"origin"`
	// Source tells exactly where: a URL, an OCI reference with its digest, or a path. It is empty if Origin says it all.
	//
	// +optional
	Source string `json:"source,omitempty"`
	// Digest identifies the release's manifests: sha256: and 64 hexadecimal digits. It is empty if Origin is shoot.
	Digest string `json:"digest"`
	// ResolvedFor is the annotation gardener.cloud/timestamp that the Extension had when a range or latest was last resolved, or
	// when the shoot came from another seed. Until Gardener's next request, which has another one, the release stays. It is
	// empty if Requested is a release.
	//
	// +optional
	ResolvedFor string `json:"resolvedFor,omitempty"`
	// Namespace is where Flux is installed in the shoot. It is empty if that is flux-system.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// OtherNamespaces are namespaces of the shoot in which something of Flux's is too, because a template says so.
	//
	// +optional
	OtherNamespaces []string `json:"otherNamespaces,omitempty"`
	// RepositoryURL is the repository, or bucket, that the shoot follows. It has no password. It is empty if only Flux is installed.
	//
	// +optional
	RepositoryURL string `json:"repositoryURL,omitempty"`
	// Reference is what is read there, in words, such as: branch "main". It is empty if that is all that there is.
	//
	// +optional
	Reference string `json:"reference,omitempty"`
	// Configuration is what has been written of what the shoot is to have, and by whom. What nobody has written is the default.
	//
	// +optional
	Configuration []WrittenField `json:"configuration,omitempty"`
	// Revision is what the shoot has of the repository, such as main@sha1:5f0c…: what Flux last applied.
	//
	// +optional
	Revision string `json:"revision,omitempty"`
	// Fields are digests of the fields of spec that the source and the Kustomization of the shoot are to have, by <kind>.<field>. By
	// them it is known whether somebody has changed one in the shoot. Of an Extension of an earlier release nothing is known.
	//
	// +optional
	Fields map[string]string `json:"fields,omitempty"`
	// PublicKey is the line to register at the Git server of a private repository.
	//
	// +optional
	PublicKey string `json:"publicKey,omitempty"`
	// HostKeys are the keys by which the Git server of a private repository is recognised, as type and SHA-256 fingerprint:
	// "ssh-ed25519 SHA256:…".
	//
	// +optional
	HostKeys []string `json:"hostKeys,omitempty"`
	// Problem is why the shoot does not have what is configured now. It keeps what it had, and the extension tries again by
	// itself. It is missing if the shoot has what is configured, and while the Extension's own lastError says why it has not.
	//
	// +optional
	Problem *Problem `json:"problem,omitempty"`
	// Notices are what people should know once although nothing failed. Events of the Extension and of the Shoot are made of them.
	//
	// +optional
	Notices []Notice `json:"notices,omitempty"`
}

// WrittenField is the value of a field of FluxConfig, and who has written it.
type WrittenField struct {
	// Field is its path, such as repository.url.
	Field string `json:"field"`
	// Value is as JSON has it, texts without quotes, and shortened if it is long.
	Value string `json:"value"`
	// Origin is landscape, project (config and overrides[…] for its keys of these names) or shoot, or says that the form of the shoot's providerConfig has this default.
	Origin string `json:"origin"`
}

// Notice is something that people should know once.
type Notice struct {
	// Type is that of the event: Normal or Warning.
	Type string `json:"type"`
	// Reason is a word in camel case.
	Reason string `json:"reason"`
	// Message is one sentence.
	Message string `json:"message"`
	// Since is when it was noted.
	Since metav1.Time `json:"since"`
	// Reported tells that there have been events of it. What goes on need not be reported again.
	//
	// +optional
	Reported bool `json:"reported,omitempty"`
}

// The reasons of notices.
const (
	// NoticeKeyPairMade says that a key pair was made for the project.
	NoticeKeyPairMade = "KeyPairMade"
	// NoticeHostKeyTrusted says that a Git server was asked for its host key.
	NoticeHostKeyTrusted = "HostKeyTrusted"
	// NoticeFluxVersion says why the shoot has another Flux release than one could expect.
	NoticeFluxVersion = "FluxVersion"
	// NoticeFieldIgnored says that something in the shoot's providerConfig has no effect.
	NoticeFieldIgnored = "FieldIgnored"
	// NoticeFluxTakenOver says that a Flux of somebody else's is the extension's from now on.
	NoticeFluxTakenOver = "FluxTakenOver"
	// NoticeLeftToUsers says that what the extension has managed is the shoot's users' from now on: Flux, or the source and the Kustomization.
	NoticeLeftToUsers = "LeftToUsers"
	// NoticeFluxStays says that the extension leaves Flux in the shoot.
	NoticeFluxStays = "FluxStays"
	// NoticeNamespaceKept says that the namespace of Flux stays in the shoot.
	NoticeNamespaceKept = "NamespaceKept"
	// NoticeConfigMapKept says that ConfigMap shoot-info is the shoot's users', and stays as it is.
	NoticeConfigMapKept = "ConfigMapKept"
)

// Problem tells why a shoot does not have what is configured.
type Problem struct {
	// Reason is NotAsConfigured if somebody has to correct something, or UnderWay if only time is needed.
	Reason string `json:"reason"`
	// Message is one sentence.
	Message string `json:"message"`
	// Since is since when there has been a problem for this reason, without pause. The longer, the longer are the pauses between
	// tries.
	Since metav1.Time `json:"since"`
}

const (
	// NotAsConfigured is the reason of a Problem of configuration, garden, Git server, release server or shoot.
	NotAsConfigured = "NotAsConfigured"
	// UnderWay is the reason of a Problem that is none: the shoot gets what is configured in several steps.
	UnderWay = "UnderWay"
)
