// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package healthcheck

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
)

const (
	// conflictDelay is the time until the next try to write a status that somebody else has just written.
	conflictDelay = time.Second
	// grace is how long nothing is said of ManagedResources that are being made, applied, or looked at for the first time: that is so after
	// each change, and is no fault.
	grace = time.Minute

	// The reasons of the condition are those of Gardener's health-check library.
	reasonSuccessful   = "HealthCheckSuccessful"
	reasonUnsuccessful = "HealthCheckUnsuccessful"
)

type reconciler struct {
	// seed caches.
	seed                  client.Client
	fluxReadyAffectsShoot bool
	// pendingSince has, by the namespace of the shoot, since when this process sees something under way.
	pendingSince sync.Map
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	ex := &extensionsv1alpha1.Extension{}
	if err := r.seed.Get(ctx, request.NamespacedName, ex); err != nil {
		r.pendingSince.Delete(request.Namespace)
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if seed.IsLeaving(ex) {
		r.pendingSince.Delete(request.Namespace)
		return reconcile.Result{}, nil
	}
	if seed.IsUnderWay(ex) {
		// Its end is written in a moment, and what it has changed is under way.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	}
	now, pending, err := r.check(ctx, ex)
	if err != nil {
		return reconcile.Result{}, err
	}
	if left := r.graceLeft(ex.Namespace, pending); left > 0 {
		return reconcile.Result{RequeueAfter: left}, nil
	}
	if err := r.tell(ctx, ex, now); apierrors.IsConflict(err) {
		// Another controller wrote the status, and this one's cache learns of it in a moment.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	} else if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	return reconcile.Result{}, nil
}

// graceLeft is how long something that is under way may still last until it is told.
func (r *reconciler) graceLeft(namespace string, pending bool) time.Duration {
	if !pending {
		r.pendingSince.Delete(namespace)
		return 0
	}
	since, _ := r.pendingSince.LoadOrStore(namespace, time.Now())
	return time.Until(since.(time.Time).Add(grace))
}

func conditionOf(ex *extensionsv1alpha1.Extension) *gardencorev1beta1.Condition {
	return v1beta1helper.GetCondition(ex.Status.Conditions, gardencorev1beta1.ShootSystemComponentsHealthy)
}

// Set returns a function that changes the condition in an Extension, in memory, to what it is to be, unless something is under way. Whoever writes the
// status of the Extension anyway saves a write by that. The client caches.
func Set(seed client.Client, fluxReadyAffectsShoot bool) func(context.Context, *extensionsv1alpha1.Extension) error {
	r := &reconciler{seed: seed, fluxReadyAffectsShoot: fluxReadyAffectsShoot}
	return func(ctx context.Context, ex *extensionsv1alpha1.Extension) error {
		now, pending, err := r.check(ctx, ex)
		if err != nil || pending {
			return err
		}
		_, err = set(ex, now)
		return err
	}
}

// check returns the condition, without its times, and whether what is wrong is only that something is under way.
func (r *reconciler) check(ctx context.Context, ex *extensionsv1alpha1.Extension) (_ gardencorev1beta1.Condition, pending bool, err error) {
	cluster := &extensionsv1alpha1.Cluster{}
	if err := r.seed.Get(ctx, client.ObjectKey{Name: ex.Namespace}, cluster); err != nil {
		return gardencorev1beta1.Condition{}, false, fmt.Errorf("failed to read Cluster %s of the seed: %w", ex.Namespace, err)
	}
	shoot, err := extensions.ShootFromCluster(cluster)
	if err != nil {
		return gardencorev1beta1.Condition{}, false, fmt.Errorf("failed to read the Shoot in Cluster %s of the seed: %w", ex.Namespace, err)
	}
	if shoot != nil && v1beta1helper.HibernationIsEnabled(shoot) {
		return healthy("Shoot is hibernated"), false, nil
	}
	pending = true
	var faults []string
	for _, name := range []string{managedresource.Installation, managedresource.Configuration} {
		managedResource, err := managedresource.Get(ctx, r.seed, ex.Namespace, name)
		if err != nil {
			return gardencorev1beta1.Condition{}, false, err
		}
		if fault := faultOf(name, managedResource); fault != "" {
			faults = append(faults, fault)
			pending = pending && isPending(managedResource)
		}
	}
	if r.fluxReadyAffectsShoot {
		if ofFlux := fluxFaults(ex); len(ofFlux) > 0 {
			faults, pending = append(faults, ofFlux...), false
		}
	}
	if len(faults) > 0 {
		return unhealthy(faults), pending, nil
	}
	return healthy("All health checks successful"), false, nil
}

// faultOf says what is wrong with a ManagedResource, which may be nil.
func faultOf(name string, managedResource *resourcesv1alpha1.ManagedResource) string {
	if managedResource == nil {
		return fmt.Sprintf("ManagedResource %s does not exist", name)
	}
	if err := health.CheckManagedResource(managedResource); err != nil {
		return err.Error()
	}
	return ""
}

// isPending tells whether gardener-resource-manager has not yet come to a result.
func isPending(managedResource *resourcesv1alpha1.ManagedResource) bool {
	if managedResource == nil || managedResource.Status.ObservedGeneration != managedResource.Generation {
		return true
	}
	for _, conditionType := range []gardencorev1beta1.ConditionType{resourcesv1alpha1.ResourcesApplied, resourcesv1alpha1.ResourcesHealthy} {
		condition := v1beta1helper.GetCondition(managedResource.Status.Conditions, conditionType)
		if condition != nil && condition.Status == gardencorev1beta1.ConditionFalse {
			return false
		}
	}
	return true
}

// fluxFaults repeats what condition FluxReady says, if it says that something is wrong. What is under way is no fault.
func fluxFaults(ex *extensionsv1alpha1.Extension) []string {
	condition := v1beta1helper.GetCondition(ex.Status.Conditions, fluxv1alpha1.FluxReady)
	if condition == nil || condition.Status != gardencorev1beta1.ConditionFalse {
		return nil
	}
	return []string{condition.Message}
}

func healthy(message string) gardencorev1beta1.Condition {
	return gardencorev1beta1.Condition{Status: gardencorev1beta1.ConditionTrue, Reason: reasonSuccessful, Message: message}
}

// unhealthy bounds what gardener-resource-manager repeats of what a shoot's API server answers, webhooks of its users included.
func unhealthy(faults []string) gardencorev1beta1.Condition {
	message := readiness.Shorten(readiness.Normalise(strings.Join(faults, "; ")), readiness.MaxMessage)
	condition := gardencorev1beta1.Condition{Status: gardencorev1beta1.ConditionFalse, Reason: reasonUnsuccessful, Message: message}
	if strings.Contains(message, "is invalid:") && strings.Contains(message, "rror during apply of object") {
		condition.Codes = []gardencorev1beta1.ErrorCode{gardencorev1beta1.ErrorConfigurationProblem}
	}
	return condition
}

// set changes the condition in memory, and tells whether it has changed.
func set(ex *extensionsv1alpha1.Extension, now gardencorev1beta1.Condition) (bool, error) {
	builder, err := v1beta1helper.NewConditionBuilder(gardencorev1beta1.ShootSystemComponentsHealthy)
	if err != nil {
		return false, err
	}
	if old := conditionOf(ex); old != nil {
		builder = builder.WithOldCondition(*old)
	}
	condition, changed := builder.WithClock(clock.RealClock{}).WithStatus(now.Status).WithReason(now.Reason).WithMessage(now.Message).WithCodes(now.Codes...).Build()
	if changed {
		ex.Status.Conditions = v1beta1helper.MergeConditions(ex.Status.Conditions, condition)
	}
	return changed, nil
}

// tell writes the condition if it is not what the Extension says already.
func (r *reconciler) tell(ctx context.Context, ex *extensionsv1alpha1.Extension, now gardencorev1beta1.Condition) error {
	// The patch has all conditions, and another controller writes one of them.
	patch := client.MergeFromWithOptions(ex.DeepCopy(), client.MergeFromWithOptimisticLock{})
	if changed, err := set(ex, now); err != nil || !changed {
		return err
	}
	if err := r.seed.Status().Patch(ctx, ex, patch); err != nil {
		return fmt.Errorf("failed to write condition %s of Extension %s in the seed: %w", gardencorev1beta1.ShootSystemComponentsHealthy, client.ObjectKeyFromObject(ex), err)
	}
	return nil
}
