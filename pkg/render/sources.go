// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"encoding/json"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// What is followed, as it is written in short: a repository.

// The intervals that `flux bootstrap` sets. A Kustomization that failed is tried again as often as the source is.
const (
	sourceInterval        = time.Minute
	kustomizationInterval = 10 * time.Minute
	retryInterval         = time.Minute
)

// FollowedKinds returns the kinds by which Flux is to follow something: that of the source, and Kustomization. There are none if nothing is
// followed.
func FollowedKinds(config *fluxv1alpha1.FluxConfig) []flux.ObjectKind {
	origin := flux.GitRepository
	switch {
	case config.Source != nil:
		written := metav1.TypeMeta{}
		_ = json.Unmarshal(config.Source.Template.Raw, &written) // it has been validated
		origin = flux.SourceKindNamed(written.Kind)
	case config.Repository == nil:
		return nil
	case config.Repository.IsOCI():
		origin = flux.OCIRepository
	}
	return []flux.ObjectKind{origin.ObjectKind, flux.Kustomization}
}

// newSource returns the source of a repository.
func newSource(wanted Wanted) (*unstructured.Unstructured, error) {
	if wanted.Config.Repository.IsOCI() {
		return asObject(flux.OCIRepository.GroupKind, newOCIRepository(wanted))
	}
	return asObject(flux.GitRepository.GroupKind, newGitRepository(wanted))
}

func newGitRepository(wanted Wanted) *sourcev1.GitRepository {
	repository, credentials := wanted.Config.Repository, wanted.Credentials
	gitRepository := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: wanted.namespace(), Name: flux.Name},
		Spec: sourcev1.GitRepositorySpec{
			URL: repository.URL,
			Reference: &sourcev1.GitRepositoryRef{
				Branch: repository.Branch, Tag: repository.Tag, SemVer: repository.Semver, Commit: repository.Commit, Name: repository.RefName,
			},
			Interval: metav1.Duration{Duration: sourceInterval},
		},
	}
	if repository.Verify != nil {
		gitRepository.Spec.Verification = &sourcev1.GitRepositoryVerification{SecretRef: meta.LocalObjectReference{Name: VerifySecretName}}
	}
	if credentials == nil {
		return gitRepository
	}
	gitRepository.Spec.Provider = credentials.Provider
	if credentials.SecretRef != nil {
		gitRepository.Spec.SecretRef = &meta.LocalObjectReference{Name: credentials.SecretRef.Name}
	}
	requestLook(&gitRepository.ObjectMeta, wanted)
	return gitRepository
}

func newOCIRepository(wanted Wanted) *sourcev1.OCIRepository {
	repository, credentials := wanted.Config.Repository, wanted.Credentials
	ociRepository := &sourcev1.OCIRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: wanted.namespace(), Name: flux.Name},
		Spec: sourcev1.OCIRepositorySpec{
			URL:       repository.URL,
			Reference: &sourcev1.OCIRepositoryRef{Tag: repository.Tag, SemVer: repository.Semver, Digest: repository.Digest},
			Interval:  metav1.Duration{Duration: sourceInterval},
			Verify:    newOCIVerification(repository.Verify),
		},
	}
	if credentials == nil {
		return ociRepository
	}
	if credentials.SecretRef != nil {
		ociRepository.Spec.SecretRef = &meta.LocalObjectReference{Name: credentials.SecretRef.Name}
	}
	if credentials.CertSecretRef != nil {
		ociRepository.Spec.CertSecretRef = &meta.LocalObjectReference{Name: credentials.CertSecretRef.Name}
	}
	requestLook(&ociRepository.ObjectMeta, wanted)
	return ociRepository
}

// newOCIVerification accepts signatures of cosign: with one of some keys, or without key by an identity.
func newOCIVerification(verify *fluxv1alpha1.Verification) *sourcev1.OCIRepositoryVerification {
	if verify == nil {
		return nil
	}
	verification := &sourcev1.OCIRepositoryVerification{Provider: "cosign"}
	if verify.Keys != "" {
		verification.SecretRef = &meta.LocalObjectReference{Name: VerifySecretName}
		return verification
	}
	verification.MatchOIDCIdentity = []sourcev1.OIDCIdentityMatch{{Issuer: verify.Issuer, Subject: verify.Subject}}
	return verification
}

// requestLook makes Flux look at once with new credentials, and then say in its status that it did: it does not watch Secrets.
// (gardener-resource-manager applies Secrets before what it has no order for.)
func requestLook(object *metav1.ObjectMeta, wanted Wanted) {
	metav1.SetMetaDataAnnotation(object, meta.ReconcileRequestAnnotation, wanted.Credentials.Request())
}

func newKustomization(wanted Wanted, origin *unstructured.Unstructured) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: wanted.namespace(), Name: flux.Name},
		Spec: kustomizev1.KustomizationSpec{
			Interval:      metav1.Duration{Duration: kustomizationInterval},
			RetryInterval: &metav1.Duration{Duration: retryInterval},
			Path:          wanted.Config.Repository.Path,
			Prune:         true,
			// What Flux deployed belongs to the shoot's users: it stays when the extension is switched off.
			DeletionPolicy:  kustomizev1.DeletionPolicyOrphan,
			SourceRef:       sourceReference(wanted, origin),
			TargetNamespace: wanted.TargetNamespace,
		},
	}
}

// sourceReference names the source. Its namespace is left out if it is that of the Kustomization.
func sourceReference(wanted Wanted, origin *unstructured.Unstructured) kustomizev1.CrossNamespaceSourceReference {
	reference := kustomizev1.CrossNamespaceSourceReference{Kind: origin.GetKind(), Name: origin.GetName()}
	if origin.GetNamespace() != wanted.namespace() {
		reference.Namespace = origin.GetNamespace()
	}
	return reference
}

// asObject turns a typed object into one of a kind, whose version follows from the release.
func asObject(kind schema.GroupKind, object client.Object) (*unstructured.Unstructured, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("failed to render %s %s: %w", kind.Kind, client.ObjectKeyFromObject(object), err)
	}
	rendered := &unstructured.Unstructured{Object: content}
	rendered.SetGroupVersionKind(kind.WithVersion(flux.Versions()[0]))
	return rendered, nil
}
