// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// The intervals that `flux bootstrap` sets. A Kustomization that failed is tried again as often as the source is.
const (
	sourceInterval        = time.Minute
	kustomizationInterval = 10 * time.Minute
	retryInterval         = time.Minute
)

// Configuration renders what makes Flux follow the repository: a GitRepository and a Kustomization in the versions that
// the installation serves, and the Secrets of the credentials if there are some (nil for a public repository). Without a
// repository there is nothing to follow, and no object. The objects are protected from what the repository says of them (Protect).
func (i *Installation) Configuration(repository *fluxv1alpha1.Repository, credentials *source.Credentials) ([]client.Object, error) {
	if repository == nil {
		return nil, nil
	}

	gitRepository, err := i.followed[flux.GitRepository.Definition()].render(newGitRepository(repository, credentials))
	if err != nil {
		return nil, err
	}
	kustomization, err := i.followed[flux.Kustomization.Definition()].render(newKustomization(repository))
	if err != nil {
		return nil, err
	}

	objects := []client.Object{gitRepository, kustomization}
	if credentials != nil {
		objects = append(objects, newSecrets(credentials)...)
	}
	for _, object := range objects {
		Protect(object)
	}
	return objects, nil
}

func newSecrets(credentials *source.Credentials) []client.Object {
	var secrets []client.Object
	for _, secret := range credentials.Secrets() {
		secrets = append(secrets, &corev1.Secret{
			TypeMeta:   metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "Secret"},
			ObjectMeta: metav1.ObjectMeta{Namespace: flux.Namespace, Name: secret.Name},
			Type:       secret.Type,
			Data:       secret.Data,
		})
	}
	return secrets
}

func newGitRepository(repository *fluxv1alpha1.Repository, credentials *source.Credentials) *sourcev1.GitRepository {
	gitRepository := &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: flux.Namespace, Name: flux.Name},
		Spec: sourcev1.GitRepositorySpec{
			URL:       repository.URL,
			Reference: &sourcev1.GitRepositoryRef{Branch: repository.Branch},
			Interval:  metav1.Duration{Duration: sourceInterval},
		},
	}
	if credentials != nil {
		gitRepository.Spec.Provider = credentials.Provider
		gitRepository.Spec.SecretRef = &meta.LocalObjectReference{Name: credentials.SecretRef.Name}
		// Flux does not watch Secrets. This makes it look at once with the new one, and then say in its status that it did.
		// (gardener-resource-manager applies Secrets before what it has no order for.)
		metav1.SetMetaDataAnnotation(&gitRepository.ObjectMeta, meta.ReconcileRequestAnnotation, credentials.Request())
	}
	return gitRepository
}

func newKustomization(repository *fluxv1alpha1.Repository) *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: flux.Namespace, Name: flux.Name},
		Spec: kustomizev1.KustomizationSpec{
			Interval:      metav1.Duration{Duration: kustomizationInterval},
			RetryInterval: &metav1.Duration{Duration: retryInterval},
			Path:          repository.Path,
			Prune:         true,
			// What Flux deployed belongs to the shoot's users: it stays when the extension is switched off.
			DeletionPolicy: kustomizev1.DeletionPolicyOrphan,
			SourceRef:      kustomizev1.CrossNamespaceSourceReference{Kind: flux.GitRepository.Kind, Name: flux.Name},
		},
	}
}
