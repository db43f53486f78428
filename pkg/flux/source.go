// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// defaultTimeout is how long source-controller tries to read a source that says nothing else.
const defaultTimeout = time.Minute

// Source is what a source of any kind says in a shoot.
type Source struct {
	metav1.ObjectMeta
	// Spec is its whole specification, as NewSpec of its kind returns it.
	Spec any

	// URL is the address, and Branch what is read there.
	URL, Branch string
	// HasCredentials tells whether a Secret is named.
	HasCredentials bool
	Suspended      bool
	// Timeout is how long source-controller tries to read it.
	Timeout time.Duration

	// Artifact is what was read last, or nil.
	Artifact               *fluxmeta.Artifact
	Conditions             []metav1.Condition
	ObservedGeneration     int64
	LastHandledReconcileAt string
}

// FromGitRepository returns what a GitRepository says.
func FromGitRepository(repository *sourcev1.GitRepository) *Source {
	source := &Source{
		ObjectMeta:             repository.ObjectMeta,
		Spec:                   &repository.Spec,
		URL:                    repository.Spec.URL,
		HasCredentials:         repository.Spec.SecretRef != nil,
		Suspended:              repository.Spec.Suspend,
		Timeout:                defaultTimeout,
		Artifact:               repository.Status.Artifact,
		Conditions:             repository.Status.Conditions,
		ObservedGeneration:     repository.Status.ObservedGeneration,
		LastHandledReconcileAt: repository.Status.LastHandledReconcileAt,
	}
	if repository.Spec.Reference != nil {
		source.Branch = repository.Spec.Reference.Branch
	}
	if repository.Spec.Timeout != nil {
		source.Timeout = repository.Spec.Timeout.Duration
	}
	return source
}

func readGitRepository(content map[string]any) (*Source, error) {
	repository := &sourcev1.GitRepository{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, repository); err != nil {
		return nil, err
	}
	return FromGitRepository(repository), nil
}
