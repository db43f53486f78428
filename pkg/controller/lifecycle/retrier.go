// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	retrierName = Type + "-retrier"

	// minPause is the pause before the first try to mend a problem. After that, each pause is as long as the problem has lasted, or a tenth of
	// that where something is under way and only needs its next step.
	minPause = 2 * time.Second
	// maxPause is the longest pause.
	maxPause = 2 * time.Minute
	// pauseJitter spreads the tries of the shoots of a project.
	pauseJitter = 0.1
)

// retrier is a controller that reconciles Extensions again for which gardenlet asks for nothing. To gardenlet, some are well: those with a problem,
// and those that missed a change of the project's configuration or Secret because they could not be reconciled at that moment. For others it has
// asked already, and the operation was dropped. What it does follows from what is in the seed, so it needs no memory for the first; the watches
// keep the second; and of the last it only remembers since when.
type retrier struct {
	// seed caches.
	seed     client.Reader
	pauses   *pauses
	missed   *missedChanges
	dropped  droppedOperations
	requests chan event.GenericEvent
}

func newRetrier(mgr manager.Manager, pauses *pauses, missed *missedChanges) *retrier {
	return &retrier{seed: mgr.GetClient(), pauses: pauses, missed: missed, requests: make(chan event.GenericEvent)}
}

// addToManager adds the controller.
func (r *retrier) addToManager(mgr manager.Manager, classes []extensionsv1alpha1.ExtensionClass) error {
	toExtension := handler.EnqueueRequestsFromMapFunc(func(_ context.Context, cluster client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: cluster.GetName(), Name: Type}}}
	})
	err := builder.ControllerManagedBy(mgr).
		Named(retrierName).
		For(&extensionsv1alpha1.Extension{}, builder.WithPredicates(predicateutils.HasType(Type), predicateutils.HasClass(classes...))).
		Watches(&extensionsv1alpha1.Cluster{}, toExtension).
		Complete(r)
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", retrierName, err)
	}
	return nil
}

// watch makes another controller reconcile what is to be tried again.
func (r *retrier) watch(c controller.Controller) error {
	return c.Watch(source.Channel(r.requests, &handler.EnqueueRequestForObject{}))
}

// Reconcile implements reconcile.Reconciler. What it waits for without a time shows in a change of the Extension or of the Cluster.
func (r *retrier) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	ex := &extensionsv1alpha1.Extension{}
	if err := r.seed.Get(ctx, request.NamespacedName, ex); apierrors.IsNotFound(err) {
		r.missed.forgetAll(request.NamespacedName)
		r.dropped.forget(request.NamespacedName)
		return reconcile.Result{}, nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("failed to read Extension %s of the seed: %w", request, err)
	}
	if isUnanswered(ex) {
		return r.answer(ctx, ex)
	}
	r.dropped.forget(request.NamespacedName)
	problem, missed := fluxv1alpha1.StatusOf(ex).Problem, r.missed.has(request.NamespacedName)
	last := ex.Status.LastOperation
	if problem == nil && !missed || last == nil || last.State != gardencorev1beta1.LastOperationStateSucceeded {
		return reconcile.Result{}, nil
	}
	shoot, seed, err := readCluster(ctx, r.seed, request.Namespace)
	if err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !mayReconcile(ex, shoot) {
		return reconcile.Result{}, nil
	}
	if why, again := r.pauses.of(ctx, shoot, seed); why != "" {
		return reconcile.Result{RequeueAfter: again}, nil
	}
	return r.retry(ctx, ex, problem)
}

// answer hands an Extension over to the controller of its lifecycle if its operation was dropped. Whether it may be worked on, gardenlet decided when it
// asked, but the library leaves the shoots alone that have been given up.
func (r *retrier) answer(ctx context.Context, ex *extensionsv1alpha1.Extension) (reconcile.Result, error) {
	if pause := time.Until(r.dropped.note(ex)); pause > 0 { // most operations are begun meanwhile
		return reconcile.Result{RequeueAfter: pause}, nil
	}
	shoot, _, err := readShoot(ctx, r.seed, ex.Namespace)
	if err != nil || extensionscontroller.IsShootFailed(shoot) {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	log.FromContext(ctx).Info("The operation that gardenlet waits for was dropped, and is begun now", "requested", ex.Annotations[v1beta1constants.GardenerTimestamp])
	return r.handOver(ctx, ex), nil
}

// retry hands an Extension over to the controller of its lifecycle when it is time.
func (r *retrier) retry(ctx context.Context, ex *extensionsv1alpha1.Extension, problem *fluxv1alpha1.Problem) (reconcile.Result, error) {
	outdated, err := r.missed.take(ctx, r.seed, ex)
	switch {
	case err != nil:
		return reconcile.Result{}, err
	case !outdated && problem == nil:
		return reconcile.Result{}, nil
	case !outdated:
		if pause := time.Until(nextTry(problem, ex.Status.LastOperation.LastUpdateTime)); pause > 0 {
			return reconcile.Result{RequeueAfter: wait.Jitter(pause, pauseJitter)}, nil
		}
	}
	return r.handOver(ctx, ex), nil
}

func (r *retrier) handOver(ctx context.Context, ex *extensionsv1alpha1.Extension) reconcile.Result {
	select {
	case r.requests <- event.GenericEvent{Object: ex}:
	case <-ctx.Done():
	}
	// If that comes to nothing, because the other controller begins anew, it is noticed.
	return reconcile.Result{RequeueAfter: maxPause}
}

// nextTry is when a problem is tried to be mended that persisted at the last try.
func nextTry(problem *fluxv1alpha1.Problem, lastTry metav1.Time) time.Time {
	lasted := lastTry.Sub(problem.Since.Time)
	if problem.Reason == fluxv1alpha1.UnderWay {
		lasted /= 10
	}
	return lastTry.Add(min(max(lasted, minPause), maxPause))
}
