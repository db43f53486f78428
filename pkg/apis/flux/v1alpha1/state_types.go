// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// FluxState is what field status.state of an Extension of type shoot-flux holds: what the extension must not forget of a shoot.
// Gardener takes it along when the control plane of the shoot moves to another seed (ShootState), where nothing else of the old
// seed is left. It is written before what it says is done, so that whoever finds it knows what may have been done.
//
// Fields that a reader does not know are ignored. What can't be ignored needs another version.
//
// +kubebuilder:object:root=true
type FluxState struct {
	metav1.TypeMeta `json:",inline"`

	// FluxVersion is the Flux release that the shoot has or is getting, such as v2.9.4. It is empty as long as nothing was
	// to be installed.
	//
	// +optional
	FluxVersion string `json:"fluxVersion,omitempty"`
	// Migrating tells that the CustomResourceDefinitions of the shoot may still have API versions of the release before,
	// because objects of the shoot are stored in them.
	//
	// +optional
	Migrating bool `json:"migrating,omitempty"`
	// OwnedByUsers tells that the installation has been left to the shoot's users (installation: once).
	//
	// +optional
	OwnedByUsers bool `json:"ownedByUsers,omitempty"`
	// Namespace is where Flux is installed in the shoot. It is empty if that is flux-system.
	//
	// +optional
	Namespace string `json:"namespace,omitempty"`
	// NamespaceOfUsers tells that Namespace was there before Flux, and stays when Flux goes.
	//
	// +optional
	NamespaceOfUsers bool `json:"namespaceOfUsers,omitempty"`
	// Source and Kustomization are <namespace>/<name> of what makes Flux follow something, if they are others than flux-system in Namespace.
	//
	// +optional
	Source string `json:"source,omitempty"`
	// +optional
	Kustomization string `json:"kustomization,omitempty"`
	// SourceKind is the kind of Source. It is empty if that is a GitRepository.
	//
	// +optional
	SourceKind string `json:"sourceKind,omitempty"`
	// FollowedOnce tells that Source and Kustomization belong to the shoot's users (syncMode: Once). It is empty while they are the extension's.
	//
	// +optional
	FollowedOnce FollowedOnce `json:"followedOnce,omitempty"`
	// FollowedDigest is of what was configured to be followed when they became so.
	//
	// +optional
	FollowedDigest string `json:"followedDigest,omitempty"`
	// FollowedSecretsNoted tells that FollowedSecrets and FollowedURL are known, which earlier releases of the extension did not note.
	//
	// +optional
	FollowedSecretsNoted bool `json:"followedSecretsNoted,omitempty"`
	// FollowedSecrets are <namespace>/<name> of the Secrets that came with Source and Kustomization and to which they refer, separated by commas.
	//
	// +optional
	FollowedSecrets string `json:"followedSecrets,omitempty"`
	// FollowedURL is the private repository whose credentials of the project are in them. It is empty if there are none.
	//
	// +optional
	FollowedURL string `json:"followedURL,omitempty"`
	// RequestedVersion is the version for which the installation was made, or was there, that was left to the shoot's users.
	//
	// +optional
	RequestedVersion string `json:"requestedVersion,omitempty"`
	// HasConfigMap tells that the project had a ConfigMap flux-config when the shoot got what it has. That the ConfigMap is deleted changes nothing.
	//
	// +optional
	HasConfigMap bool `json:"hasConfigMap,omitempty"`
	// RemovalPolicy tells what is to happen when the extension is switched off. It is what remains of the choice when the
	// project's configuration can't be read any more.
	//
	// +optional
	RemovalPolicy RemovalPolicy `json:"removalPolicy,omitempty"`
	// RemovalPhase tells how far the removal has come. It is empty as long as the extension has not been switched off.
	//
	// +optional
	RemovalPhase RemovalPhase `json:"removalPhase,omitempty"`
	// Predecessor tells that Kustomization main-ks of the archived first version of the extension may still be in the shoot, suspended, until
	// another one has deployed what it has deployed.
	//
	// +optional
	Predecessor bool `json:"predecessor,omitempty"`
	// TargetNamespace is into which namespace it has deployed, and into which what takes its place deploys from then on. Else Flux would delete
	// the objects there, and make them anew in other namespaces.
	//
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`
}

// FollowedOnce tells where a source and a Kustomization come from that belong to the shoot's users.
type FollowedOnce string

const (
	// FollowedOnceMade means that the extension has made them, and left them to the shoot's users.
	FollowedOnceMade FollowedOnce = "Made"
	// FollowedOnceFound means that they were in the shoot before.
	FollowedOnceFound FollowedOnce = "Found"
)

// RemovalPhase tells how far a removal has come.
type RemovalPhase string

const (
	// RemovalBegun means that Flux is the extension's to remove, and that it may be gone in part.
	RemovalBegun RemovalPhase = "Begun"
	// RemovalWorkloadsDeleted means that Flux has deleted what it deployed, or never will, and remains to be removed itself.
	RemovalWorkloadsDeleted RemovalPhase = "WorkloadsDeleted"
	// RemovalFluxRemoved means that nothing is left in the shoot, and only the seed remains to be cleaned.
	RemovalFluxRemoved RemovalPhase = "FluxRemoved"
)
