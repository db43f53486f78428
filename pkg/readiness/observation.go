// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// Observation is what is known about the repository in a shoot.
type Observation struct {
	// Now is when the shoot was looked into.
	Now time.Time
	// Project is the namespace of the project in the garden.
	Project string
	// Told is what the extension says of the shoot: its repository, public key and host keys.
	Told fluxv1alpha1.FluxStatus
	// GitRepository and Kustomization are Flux's objects in the shoot, or nil if they do not exist.
	GitRepository *sourcev1.GitRepository
	Kustomization *kustomizev1.Kustomization
	// Controllers are Flux's controllers in the shoot, or nil if nobody has looked at them.
	Controllers []Controller
	// PresentedHostKey is what the Git server presents to the seed by now, as type and fingerprint. It is empty if nobody has
	// asked it, and NoHostKey if it did not tell.
	PresentedHostKey string

	// changedFields say in the order of their kinds which fields of the objects are not as configured.
	changedFields []string
}

// NoHostKey stands for the host key of a Git server that did not answer.
const NoHostKey = "no key that could be read"

// bounded returns an Observation in which all that a shoot's admin can write, and that is worked on or repeated, is short. The
// objects are not changed.
func (o Observation) bounded() Observation {
	o.changedFields = changedFields(o)
	if o.GitRepository != nil {
		repository := *o.GitRepository
		repository.Spec.URL = word(repository.Spec.URL, maxURL)
		if repository.Spec.Reference != nil {
			repository.Spec.Reference = &sourcev1.GitRepositoryRef{Branch: word(repository.Spec.Reference.Branch, maxBranch)}
		}
		if artifact := repository.Status.Artifact; artifact != nil {
			repository.Status.Artifact = &fluxmeta.Artifact{Revision: word(artifact.Revision, maxRevision), LastUpdateTime: artifact.LastUpdateTime}
		}
		repository.Status.Conditions = boundedConditions(repository.Status.Conditions)
		o.GitRepository = &repository
	}
	if o.Kustomization != nil {
		kustomization := *o.Kustomization
		kustomization.Spec.Path = word(kustomization.Spec.Path, maxPath)
		kustomization.Status.LastAppliedRevision = word(kustomization.Status.LastAppliedRevision, maxRevision)
		kustomization.Status.LastAttemptedRevision = word(kustomization.Status.LastAttemptedRevision, maxRevision)
		kustomization.Status.Conditions = boundedConditions(kustomization.Status.Conditions)
		o.Kustomization = &kustomization
	}
	return o
}

// changedFields compares all that the objects have, of which not all is kept. The names of fields are those that the extension knows.
func changedFields(o Observation) []string {
	var changed []string
	if o.GitRepository != nil {
		changed = appendFields(changed, sourcev1.GitRepositoryKind, render.ChangedFields(&o.GitRepository.Spec, o.Told.Fields))
	}
	if o.Kustomization != nil {
		changed = appendFields(changed, kustomizev1.KustomizationKind, render.ChangedFields(&o.Kustomization.Spec, o.Told.Fields))
	}
	return changed
}

func appendFields(all []string, kind string, fields []string) []string {
	for i, field := range fields {
		fields[i] = "spec." + field
	}
	if len(fields) == 0 {
		return all
	}
	return append(all, strings.Join(fields, ", ")+" of the "+kind)
}

// boundedConditions are those that are looked at, with their messages as Normalise makes them.
func boundedConditions(conditions []metav1.Condition) []metav1.Condition {
	var bounded []metav1.Condition
	for _, kind := range []string{fluxmeta.ReadyCondition, fluxmeta.StalledCondition} {
		if condition := apimeta.FindStatusCondition(conditions, kind); condition != nil {
			short := *condition
			short.Reason, short.Message = word(condition.Reason, maxReason), Normalise(condition.Message)
			bounded = append(bounded, short)
		}
	}
	return bounded
}
