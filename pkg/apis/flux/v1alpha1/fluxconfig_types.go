// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// FluxConfig says which Flux a shoot gets, and what it follows. It is written in layers, of which the later ones count more: by the
// operator as defaults of the landscape, by the project's admin in ConfigMap flux-config, there also for shoots with certain labels, and by the
// owner of a shoot in field spec.extensions[].providerConfig.
//
// +kubebuilder:object:root=true
type FluxConfig struct {
	metav1.TypeMeta `json:",inline"`

	// Flux is the installation.
	//
	// +optional
	Flux FluxInstallation `json:"flux,omitzero"`
	// Repository is what the shoot follows, in short. Without it and without Source, only Flux is installed.
	//
	// +optional
	Repository *Repository `json:"repository,omitempty"`
	// Source is what the shoot follows, as an object of Flux. It stands in place of Repository, and needs Kustomization or Repository.Path.
	//
	// +optional
	Source *Source `json:"source,omitempty"`
	// Kustomization is how the shoot follows it, as an object of Flux. It stands in place of Repository.Path.
	//
	// +optional
	Kustomization *Kustomization `json:"kustomization,omitempty"`
	// AdditionalSecretResources are Secrets that the shoot gets beside those that belong to its source.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	AdditionalSecretResources []AdditionalSecretResource `json:"additionalSecretResources,omitempty"`
	// Installation tells whose the Flux installation is after it has been made.
	//
	// +optional
	// +kubebuilder:default=managed
	Installation InstallationMode `json:"installation,omitempty"`
	// SyncMode tells whose the source and the Kustomization are after they have been made.
	//
	// +optional
	// +kubebuilder:default=Managed
	SyncMode SyncMode `json:"syncMode,omitempty"`
	// RemovalPolicy tells what happens when the extension is switched off. It means nothing when the shoot is deleted.
	//
	// +optional
	// +kubebuilder:default=keep-workloads
	RemovalPolicy RemovalPolicy `json:"removalPolicy,omitempty"`
	// Suspend lets Flux stop following: what runs in the shoot stays as it is.
	//
	// +optional
	// +kubebuilder:default=false
	Suspend *bool `json:"suspend,omitempty"`
}

// FluxInstallation is a Flux release, and how it is installed.
type FluxInstallation struct {
	// Version is a release such as v2.9.4, a range of releases such as 2.x or ~2.9.0, or latest.
	//
	// +optional
	// +kubebuilder:default=latest
	Version string `json:"version,omitempty"`
	// AllowDowngrade lets Version replace a newer release that a shoot already has.
	//
	// +optional
	// +kubebuilder:default=false
	AllowDowngrade *bool `json:"allowDowngrade,omitempty"`
	// Registry is where the images of Flux's controllers come from, in place of the landscape's or ghcr.io/fluxcd. To write ghcr.io/fluxcd is to
	// write nothing.
	//
	// +optional
	Registry string `json:"registry,omitempty"`
	// Namespace is where Flux runs in the shoot, and where its source, Kustomization and Secrets are.
	//
	// +optional
	// +kubebuilder:default=flux-system
	Namespace string `json:"namespace,omitempty"`
	// Components are the controllers, in place of source-controller, kustomize-controller, helm-controller and notification-controller.
	// Together with ComponentsExtra they have source-controller and kustomize-controller.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	Components []string `json:"components,omitempty"`
	// ComponentsExtra are controllers beside Components: image-reflector-controller, image-automation-controller, source-watcher.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=32
	ComponentsExtra []string `json:"componentsExtra,omitempty"`
}

// Repository is a Git repository, or artifacts of an OCI repository, that a shoot follows. Of Branch, Tag, Semver, Commit, RefName and Digest
// one layer writes one at most, which stands in place of those of lower layers.
type Repository struct {
	// URL has the scheme https, http or ssh for a Git repository, or oci for artifacts, and no password.
	//
	// +optional
	URL string `json:"url,omitempty"`
	// Branch is the branch to follow. It is main if no other reference is written and the repository is one of Git.
	//
	// +optional
	Branch string `json:"branch,omitempty"`
	// Tag is the tag to follow, of Git or of artifacts.
	//
	// +optional
	Tag string `json:"tag,omitempty"`
	// Semver is a range of versions: the newest tag within it is followed.
	//
	// +optional
	Semver string `json:"semver,omitempty"`
	// Commit is the SHA of a Git commit.
	//
	// +optional
	Commit string `json:"commit,omitempty"`
	// RefName is the full name of a Git reference, such as refs/pull/420/head.
	//
	// +optional
	RefName string `json:"refName,omitempty"`
	// Digest is the digest of an artifact, such as sha256:5f0c….
	//
	// +optional
	Digest string `json:"digest,omitempty"`
	// Type tells whether credentials are needed.
	//
	// +optional
	// +kubebuilder:default=public
	Type RepositoryType `json:"type,omitempty"`
	// Path is the directory of the root Kustomization. It stays inside the repository.
	//
	// +optional
	// +kubebuilder:default="./"
	Path string `json:"path,omitempty"`
	// KnownHosts are known_hosts lines for the Git server, if it is reached by SSH.
	//
	// +optional
	KnownHosts string `json:"knownHosts,omitempty"`
	// Verify lets Flux accept only what is signed.
	//
	// +optional
	Verify *Verification `json:"verify,omitempty"`
}

// RepositoryType tells whether credentials are needed to read a repository.
//
// +kubebuilder:validation:Enum=private;public
type RepositoryType string

const (
	// RepositoryPrivate reads the repository with the credentials in the project's Secret flux-source.
	RepositoryPrivate RepositoryType = "private"
	// RepositoryPublic is the default: no credentials.
	RepositoryPublic RepositoryType = "public"
)

// Verification says whose signatures are accepted: of artifacts those that cosign makes, with one of Keys or without key by an identity; of Git
// those of one of the PGP keys.
type Verification struct {
	// Keys are public keys: of artifacts those of cosign in PEM form, of Git armoured PGP keys.
	//
	// +optional
	Keys string `json:"keys,omitempty"`
	// Issuer is a regular expression for the OIDC issuer of who signs artifacts without key.
	//
	// +optional
	Issuer string `json:"issuer,omitempty"`
	// Subject is a regular expression for the identity of who signs artifacts without key.
	//
	// +optional
	Subject string `json:"subject,omitempty"`
}

// Source is the source that a shoot follows, as an object of Flux.
type Source struct {
	// Template is a GitRepository, OCIRepository or Bucket. All of it is passed on that the API of the shoot's Flux has.
	Template runtime.RawExtension `json:"template"`
	// SecretResourceName is the name of an entry of spec.resources of the Shoot that refers to a Secret: its content gets into the shoot as
	// the Secret that spec.secretRef of the template names.
	//
	// +optional
	SecretResourceName string `json:"secretResourceName,omitempty"`
}

// Kustomization is how a shoot follows its source, as an object of Flux.
type Kustomization struct {
	// Template is a Kustomization. All of it is passed on that the API of the shoot's Flux has.
	Template runtime.RawExtension `json:"template"`
}

// AdditionalSecretResource is a Secret that the shoot gets.
type AdditionalSecretResource struct {
	// Name is the name of an entry of spec.resources of the Shoot that refers to a Secret.
	Name string `json:"name"`
	// TargetName is the name of the Secret in the shoot. Without it, it is that of the Secret that is referred to.
	//
	// +optional
	TargetName string `json:"targetName,omitempty"`
	// Labels are those of the Secret in the shoot.
	//
	// +optional
	Labels map[string]string `json:"labels,omitempty"`
}

// InstallationMode tells whose the Flux installation is after it has been made.
//
// +kubebuilder:validation:Enum=managed;once
type InstallationMode string

const (
	// InstallationManaged is the default: the extension keeps the installation as it should be, and upgrades it.
	InstallationManaged InstallationMode = "managed"
	// InstallationOnce makes the installation once and then leaves it to the shoot's users, who can upgrade it by their
	// repository. A shoot that has Flux already keeps it as it is.
	InstallationOnce InstallationMode = "once"
)

// SyncMode tells whose the source and the Kustomization are after they have been made.
//
// +kubebuilder:validation:Enum=Managed;ManifestsOnly;Once
type SyncMode string

const (
	// SyncManaged is the default: the extension keeps the source and the Kustomization as they should be.
	SyncManaged SyncMode = "Managed"
	// SyncManifestsOnly installs Flux once and then leaves it to the shoot's users, but keeps the source and the Kustomization as they should
	// be.
	SyncManifestsOnly SyncMode = "ManifestsOnly"
	// SyncOnce makes the source and the Kustomization once, and then leaves them to the shoot's users.
	SyncOnce SyncMode = "Once"
)

// RemovalPolicy tells what happens when the extension is switched off.
//
// +kubebuilder:validation:Enum=keep-workloads;delete-workloads;keep-flux
type RemovalPolicy string

const (
	// RemovalKeepWorkloads is the default: Flux goes, and what it deployed stays.
	RemovalKeepWorkloads RemovalPolicy = "keep-workloads"
	// RemovalDeleteWorkloads lets Flux delete what it deployed from the project's repository, and then Flux goes.
	RemovalDeleteWorkloads RemovalPolicy = "delete-workloads"
	// RemovalKeepFlux leaves Flux running. Nobody manages it any more.
	RemovalKeepFlux RemovalPolicy = "keep-flux"
)
