// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package readiness tells in one sentence whether Flux follows the repository in a shoot and, if not, what to do about it.
//
// The package does no I/O: Assess is a function of what Flux says about the source and the Kustomization. Its words are
// Flux's own where Flux knows better, without what differs from try to try (temporary directories, ports, durations), so that
// the same fault is always the same sentence.
package readiness

import (
	"fmt"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
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

// Assess judges what is known about the repository in a shoot. Faults of reading the repository come first: what Flux says of
// the Kustomization follows from them. What it is given may be of any size; what it returns is not.
func Assess(o Observation) Readiness {
	o = o.bounded()
	readiness := assess(o)
	readiness.Message = Shorten(readiness.Message, MaxMessage)
	if o.Kustomization != nil {
		readiness.Revision = o.Kustomization.Status.LastAppliedRevision
	}
	return readiness
}

func assess(o Observation) Readiness {
	switch {
	case o.Source == nil:
		return o.missing(o.SourceKind.ObjectKind, o.SourceKey)
	case o.Kustomization == nil:
		return o.missing(flux.Kustomization, o.KustomizationKey)
	case o.Source.DeletionTimestamp != nil:
		return o.beingDeleted(o.SourceKind.ObjectKind, o.SourceKey)
	case o.Kustomization.DeletionTimestamp != nil:
		return o.beingDeleted(flux.Kustomization, o.KustomizationKey)
	case o.Source.Suspended:
		return o.suspended(o.SourceKind.ObjectKind, o.SourceKey)
	case o.Kustomization.Spec.Suspend:
		return o.suspended(flux.Kustomization, o.KustomizationKey)
	}
	for _, find := range []func(Observation) *Readiness{assessOwners, findOtherConfiguration, findStoppedController, assessSource} {
		if problem := find(o); problem != nil {
			return *problem
		}
	}
	return assessKustomization(o)
}

// findOtherConfiguration tells whether somebody let the shoot's Flux follow something else than what is configured.
func findOtherConfiguration(o Observation) *Readiness {
	if o.OwnedByUsers {
		return nil
	}
	wanted, is := word(o.FluxStatus.RepositoryURL, maxURL), o.Source.URL
	switch {
	case wanted != "" && is != wanted:
		return new(progressing(NotApplied, fmt.Sprintf("the %s %s of the shoot names %s in place of %s: if somebody changed it there, Gardener puts it back within an hour", o.SourceKind.Kind, nameOf(o.SourceKey), is, wanted)))
	case len(o.changedFields) > 0:
		return new(progressing(NotApplied, fmt.Sprintf("in the shoot, %s is not as configured: if somebody changed it there, Gardener puts it back within an hour",
			strings.Join(o.changedFields, " and "))))
	}
	return nil
}

func assessSource(o Observation) *Readiness {
	ready, timeout := currentCondition(o.Source, o.Source.ObservedGeneration, o.Source.Conditions), o.Source.Timeout
	open := openRequest(o.Source, o.Source.LastHandledReconcileAt)
	switch content := o.content(); {
	case ready == nil:
		return new(progressing(NotObserved, "Flux has not looked at "+content+" yet"))
	case ready.Status == metav1.ConditionUnknown, ready.Status == metav1.ConditionTrue && o.Source.Artifact == nil:
		return new(o.underWay(Fetching, "Flux is reading "+content, ready.LastTransitionTime.Time, timeout))
	case open != nil && o.overdue(open.since, timeout):
		return new(o.noProgress("Flux was asked to look at " + content + " again at " + open.since.UTC().Format(time.RFC3339)))
	case ready.Status == metav1.ConditionFalse && open != nil && open.ours:
		// What it says is about credentials that have been replaced.
		return new(progressing(NotObserved, "Flux has not looked at "+content+" yet since "+credentialsOf(o)+" have changed"))
	case ready.Status == metav1.ConditionFalse:
		return new(explainSource(o, ready.Reason, ready.Message))
	}
	return nil
}

func assessKustomization(o Observation) Readiness {
	status := o.Kustomization.Status
	ready := currentCondition(o.Kustomization, status.ObservedGeneration, status.Conditions)
	applying, fetched := "Flux is applying "+artifactOf(o), o.Source.Artifact
	open := openRequest(o.Kustomization, status.LastHandledReconcileAt)
	switch {
	case ready == nil:
		return progressing(NotObserved, "Flux has not looked at the Kustomization "+nameOf(o.KustomizationKey)+" yet")
	case ready.Status == metav1.ConditionUnknown:
		return o.underWay(Applying, applying, ready.LastTransitionTime.Time, o.Kustomization.GetTimeout())
	case ready.Status == metav1.ConditionFalse && isOfEarlierArtifact(ready, status, fetched), ready.Status == metav1.ConditionTrue && status.LastAppliedRevision != fetched.Revision:
		return o.underWay(Applying, applying, firstSet(fetched.LastUpdateTime, ready.LastTransitionTime), 0)
	case open != nil && o.overdue(open.since, o.Kustomization.GetTimeout()):
		return o.noProgress("Flux was asked to apply " + artifactOf(o) + " again at " + open.since.UTC().Format(time.RFC3339))
	case ready.Status == metav1.ConditionFalse:
		return explainKustomization(o, ready)
	}
	return Readiness{
		Status:  gardencorev1beta1.ConditionTrue,
		Reason:  Applied,
		Message: fmt.Sprintf("Flux has applied revision %s of %s", status.LastAppliedRevision, o.Source.URL),
	}
}

// isOfEarlierArtifact tells whether a fault of the Kustomization is about what the repository was before. kustomize-controller
// sets condition Ready anew for each try; only for what is hopeless, which it calls stalled, it does not.
func isOfEarlierArtifact(ready *metav1.Condition, status kustomizev1.KustomizationStatus, fetched *fluxmeta.Artifact) bool {
	return status.LastAttemptedRevision != fetched.Revision && ready.LastTransitionTime.Before(&fetched.LastUpdateTime) &&
		!apimeta.IsStatusConditionTrue(status.Conditions, fluxmeta.StalledCondition)
}

func firstSet(one, other metav1.Time) time.Time {
	if one.IsZero() {
		return other.Time
	}
	return one.Time
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

// content is what the source is a part of, in words: the repository or bucket at an address.
func (o Observation) content() string {
	return "the " + o.SourceKind.Content + " " + o.Source.URL
}

func artifactOf(o Observation) string {
	if o.Source.Artifact == nil {
		return o.content()
	}
	return fmt.Sprintf("revision %s of %s", o.Source.Artifact.Revision, o.Source.URL)
}

// nameOf is the name of an object for a sentence: with its namespace, if that is not the usual one.
func nameOf(key client.ObjectKey) string {
	if key.Namespace == flux.Namespace {
		return key.Name
	}
	return key.String()
}

func (o Observation) missing(kind flux.ObjectKind, key client.ObjectKey) Readiness {
	if o.OwnedByUsers {
		return Readiness{
			Status: gardencorev1beta1.ConditionTrue, Reason: NoRepository,
			Message: fmt.Sprintf("nothing is followed: the shoot has no %s %s, which belongs to its users (syncMode: Once); set %s to Managed, and the extension makes it", kind.Kind, nameOf(key), o.where("syncMode")),
		}
	}
	return progressing(NotApplied, fmt.Sprintf("the %s %s does not exist in the shoot yet", kind.Kind, nameOf(key)))
}

func progressing(reason, sentence string) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionProgressing, Reason: reason, Message: sentence}
}

func (o Observation) suspended(kind flux.ObjectKind, key client.ObjectKey) Readiness {
	if render.IsSuspended(kind, o.FluxStatus.Fields) && !o.OwnedByUsers { // it is to be so
		return Readiness{
			Status: gardencorev1beta1.ConditionTrue, Reason: Suspended,
			Message: fmt.Sprintf("Flux does not follow the %s, and what it has deployed stays as it is: %s says so", o.SourceKind.Content, o.whoSuspends(kind)),
		}
	}
	command := "flux resume " + kind.Command + " " + key.Name
	if key.Namespace != flux.Namespace {
		command += " -n " + key.Namespace
	}
	return Readiness{
		Status:  gardencorev1beta1.ConditionFalse,
		Reason:  Suspended,
		Message: fmt.Sprintf("somebody suspended the %s %s of the shoot, so Flux does not follow the %s: %s lets it go on", kind.Kind, nameOf(key), o.SourceKind.Content, command),
	}
}

// beingDeleted says what to do, because Flux can't finish the deletion if its controllers have gone with their namespace.
func (o Observation) beingDeleted(kind flux.ObjectKind, key client.ObjectKey) Readiness {
	after := "; once it is gone, Gardener puts it back"
	if o.OwnedByUsers {
		after = ""
	}
	return Readiness{
		Status: gardencorev1beta1.ConditionFalse,
		Reason: BeingDeleted,
		Message: fmt.Sprintf("somebody deletes the %s %s of the shoot, so Flux does not follow the %s%s; if it stays, "+
			`let it go: kubectl -n %s patch %s %s --type merge -p '{"metadata":{"finalizers":null}}'`, kind.Kind, nameOf(key), o.SourceKind.Content, after, key.Namespace, kind.Definition(), key.Name),
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

// NotAppliedYet is the readiness of a shoot to which gardener-resource-manager has not yet brought the GitRepository and the
// Kustomization in their current form.
func NotAppliedYet(revision string) Readiness {
	readiness := progressing(NotApplied, "gardener-resource-manager has not yet brought the configuration of Flux to the shoot; if this lasts, "+
		"the Shoot's condition SystemComponentsHealthy says why")
	readiness.Revision = revision
	return readiness
}

// Unreachable is the readiness of a shoot whose API server does not answer.
func Unreachable(err error) Readiness {
	return Readiness{Status: gardencorev1beta1.ConditionUnknown, Reason: ShootUnreachable, Message: withWords("the shoot could not be asked: ", "", Normalise(err.Error()))}
}
