// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package readiness tells in one sentence whether Flux follows the repository in a shoot and, if not, what to do about it.
//
// The package does no I/O: Assess is a function of what Flux says about the GitRepository and the Kustomization. Its words are
// Flux's own where Flux knows better, without what differs from try to try (temporary directories, ports, durations), so that
// the same fault is always the same sentence.
package readiness

import (
	"fmt"
	"strings"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Readiness is what condition FluxReady says.
type Readiness struct {
	// Status is True if the shoot has what the repository says, False if it has not, and Progressing if that will be known soon.
	Status gardencorev1beta1.ConditionStatus
	// Reason is one of the constants of this package.
	Reason string
	// Message is one sentence.
	Message string
	// Revision is what Flux last applied, also if that was some time ago. It is empty if Flux has not applied anything yet.
	Revision string
}

// Observation is what is known about the repository in a shoot.
type Observation struct {
	// Project is the namespace of the project in the garden.
	Project string
	// Told is what the extension says of the shoot: its public key and host keys.
	Told fluxv1alpha1.FluxStatus
	// GitRepository and Kustomization are Flux's objects in the shoot, or nil if they do not exist.
	GitRepository *sourcev1.GitRepository
	Kustomization *kustomizev1.Kustomization
}

// Assess judges what is known about the repository in a shoot. Faults of reading the repository come first: what Flux says of
// the Kustomization follows from them.
func Assess(o Observation) Readiness {
	readiness := assess(o)
	if o.Kustomization != nil {
		readiness.Revision = o.Kustomization.Status.LastAppliedRevision
	}
	return readiness
}

func assess(o Observation) Readiness {
	switch {
	case o.GitRepository == nil:
		return progressing(NotApplied, "the GitRepository flux-system does not exist in the shoot yet")
	case o.Kustomization == nil:
		return progressing(NotApplied, "the Kustomization flux-system does not exist in the shoot yet")
	case o.GitRepository.DeletionTimestamp != nil:
		return beingDeleted(sourcev1.GitRepositoryKind)
	case o.Kustomization.DeletionTimestamp != nil:
		return beingDeleted(kustomizev1.KustomizationKind)
	case o.GitRepository.Spec.Suspend:
		return suspended("GitRepository", "source git")
	case o.Kustomization.Spec.Suspend:
		return suspended("Kustomization", "kustomization")
	}
	if problem := assessOwners(o); problem != nil {
		return *problem
	}
	if problem := assessSource(o); problem != nil {
		return *problem
	}
	return assessKustomization(o)
}

func assessSource(o Observation) *Readiness {
	ready := currentCondition(o.GitRepository, o.GitRepository.Status.ObservedGeneration, o.GitRepository.Status.Conditions)
	var readiness Readiness
	switch {
	case ready == nil:
		readiness = progressing(NotObserved, "Flux has not looked at the repository "+o.GitRepository.Spec.URL+" yet")
	case ready.Status == metav1.ConditionUnknown:
		readiness = progressing(Fetching, "Flux is reading the repository "+o.GitRepository.Spec.URL)
	case ready.Status == metav1.ConditionFalse:
		readiness = explainSource(o, Normalise(ready.Message))
	default:
		return nil
	}
	return &readiness
}

func assessKustomization(o Observation) Readiness {
	ready := currentCondition(o.Kustomization, o.Kustomization.Status.ObservedGeneration, o.Kustomization.Status.Conditions)
	switch {
	case ready == nil:
		return progressing(NotObserved, "Flux has not looked at the Kustomization flux-system yet")
	case ready.Status == metav1.ConditionUnknown, waitsForSource(ready):
		return progressing(Applying, "Flux is applying "+artifactOf(o.GitRepository))
	case ready.Status == metav1.ConditionFalse:
		return explainKustomization(o, ready.Reason, Normalise(ready.Message))
	}
	return Readiness{
		Status:  gardencorev1beta1.ConditionTrue,
		Reason:  Applied,
		Message: fmt.Sprintf("Flux has applied revision %s of %s", o.Kustomization.Status.LastAppliedRevision, redact(o.GitRepository.Spec.URL)),
	}
}

// currentCondition returns condition Ready, or nil if Flux has not said it of the object as it is now. Flux sets the object's
// own observed generation only when it succeeded or gave up, so that of the condition counts where there is one.
func currentCondition(object metav1.Object, observed int64, conditions []metav1.Condition) *metav1.Condition {
	ready := apimeta.FindStatusCondition(conditions, fluxmeta.ReadyCondition)
	if ready == nil {
		return nil
	}
	if ready.ObservedGeneration != 0 {
		observed = ready.ObservedGeneration
	}
	if observed < object.GetGeneration() {
		return nil
	}
	return ready
}

// waitsForSource tells whether the Kustomization still speaks of a repository that could not be read, which it can by now.
func waitsForSource(ready *metav1.Condition) bool {
	if ready.Status != metav1.ConditionFalse {
		return false
	}
	switch ready.Reason {
	case fluxmeta.HealthCheckCanceledReason, fluxmeta.DependencyNotReadyReason:
		return true
	case fluxmeta.ArtifactFailedReason:
		return !strings.Contains(ready.Message, pathNotFound)
	}
	return false
}

func artifactOf(gitRepository *sourcev1.GitRepository) string {
	if gitRepository.Status.Artifact == nil {
		return "the repository " + redact(gitRepository.Spec.URL)
	}
	return fmt.Sprintf("revision %s of %s", gitRepository.Status.Artifact.Revision, redact(gitRepository.Spec.URL))
}

func progressing(reason, sentence string) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionProgressing, Reason: reason, Message: redact(sentence)}
}

func suspended(kind, command string) Readiness {
	return Readiness{
		Status:  gardencorev1beta1.ConditionFalse,
		Reason:  Suspended,
		Message: fmt.Sprintf("somebody suspended the %s flux-system of the shoot, so Flux does not follow the repository: flux resume %s flux-system lets it go on", kind, command),
	}
}

// beingDeleted says what to do, because Flux can't finish the deletion if its controllers have gone with their namespace.
func beingDeleted(kind string) Readiness {
	return Readiness{
		Status: gardencorev1beta1.ConditionFalse,
		Reason: BeingDeleted,
		Message: fmt.Sprintf("somebody deletes the %s flux-system of the shoot, so Flux does not follow the repository; once it is gone, Gardener puts it back; if it stays, "+
			`let it go: kubectl -n flux-system patch %s flux-system --type merge -p '{"metadata":{"finalizers":null}}'`, kind, strings.ToLower(kind)),
	}
}

// OnlyFlux is the readiness of a shoot whose project has no repository.
func OnlyFlux() Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionTrue, Reason: NoRepository, Message: "only Flux is installed: no repository is configured"}
}

// Sleeping is the readiness of a hibernated shoot.
func Sleeping(revision string) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionTrue, Reason: Hibernated, Message: "the shoot is hibernated, and Flux sleeps with it", Revision: revision}
}

// NotThereYet is the readiness of a shoot to which gardener-resource-manager has not yet brought the GitRepository and the
// Kustomization in their current form.
func NotThereYet(revision string) Readiness {
	readiness := progressing(NotApplied, "gardener-resource-manager has not yet brought the configuration of Flux to the shoot; if this lasts, "+
		"the Shoot's condition SystemComponentsHealthy says why")
	readiness.Revision = revision
	return readiness
}

// Unreachable is the readiness of a shoot whose API server does not answer.
func Unreachable(err error) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionUnknown, Reason: ShootUnreachable, Message: "the shoot could not be asked: " + Normalise(err.Error())}
}
