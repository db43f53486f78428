// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// Observation is what is known about the repository in a shoot.
type Observation struct {
	// Now is when the shoot was looked into.
	Now time.Time
	// Project is the namespace of the project in the garden.
	Project string
	// FluxStatus is what the extension says of the shoot: its repository, public key and host keys.
	FluxStatus fluxv1alpha1.FluxStatus
	// Namespace is where Flux is installed in the shoot.
	Namespace string
	// SourceKind is the kind of source that the shoot is to follow, and SourceKey and KustomizationKey are the names of Flux's objects.
	SourceKind                  flux.SourceKind
	SourceKey, KustomizationKey client.ObjectKey
	// Source and Kustomization are Flux's objects in the shoot, or nil if they do not exist.
	Source        *flux.Source
	Kustomization *kustomizev1.Kustomization
	// Origins say who wrote the fields of the configuration, such as repository.url or source.template.
	Origins project.Origins
	// OwnedByUsers tells that both objects belong to the shoot's users (syncMode: Once), who may have changed or deleted them.
	OwnedByUsers bool
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
	if o.Source != nil {
		source := *o.Source
		source.URL, source.Reference.Value = word(source.URL, maxURL), word(source.Reference.Value, maxReference)
		if artifact := source.Artifact; artifact != nil {
			source.Artifact = &fluxmeta.Artifact{Revision: word(artifact.Revision, maxRevision), LastUpdateTime: artifact.LastUpdateTime}
		}
		source.Conditions = boundedConditions(source.Conditions)
		o.Source = &source
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
	if o.Source != nil {
		changed = appendFields(changed, o.SourceKind.ObjectKind, o.SourceKey, render.ChangedFields(o.SourceKind.ObjectKind, o.SourceKey.Namespace, o.Source.Spec, o.FluxStatus.Fields))
	}
	if o.Kustomization != nil {
		changed = appendFields(changed, flux.Kustomization, o.KustomizationKey, render.ChangedFields(flux.Kustomization, o.KustomizationKey.Namespace, &o.Kustomization.Spec, o.FluxStatus.Fields))
	}
	return changed
}

func appendFields(all []string, kind flux.ObjectKind, key client.ObjectKey, fields []string) []string {
	for i, field := range fields {
		fields[i] = "spec." + field
	}
	if len(fields) == 0 {
		return all
	}
	return append(all, strings.Join(fields, ", ")+" of the "+kind.Kind+" "+nameOf(key))
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
