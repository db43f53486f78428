// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const (
	// DefaultSyncPeriod is the time between two looks into a shoot in which something has changed lately.
	DefaultSyncPeriod = 30 * time.Second
	// calmPart is which part of the time since the last change passes until the next look, if that is longer.
	calmPart = 10
	// maxCalmPeriods is how many periods pass at most between two looks into a shoot that follows its repository and in which nothing
	// changes, and maxBrokenPeriods into one that waits for somebody to mend something.
	maxCalmPeriods, maxBrokenPeriods = 6, 2
	// soonPart is which part of that passes until the next look if something is under way.
	soonPart = 3
	// conflictDelay is the time until the next try to write a status that somebody else has just written.
	conflictDelay = time.Second
	// lookTimeout bounds one look, so that shoots that do not answer hold up the workers for a short time only.
	lookTimeout = 10 * time.Second
	// jitter spreads the looks into many shoots after a start.
	jitter = 0.2
	// maxUnanswered is how often in a row a shoot may give no answer before its condition changes.
	maxUnanswered = 3
	// maxPeriods is how many periods pass at most between two looks into a shoot that has given no answer for long.
	maxPeriods = 4
	// presentedInterval is how long what a Git server presented is taken for what it presents.
	presentedInterval = 5 * time.Minute
	// silentInterval is that time if it did not answer.
	silentInterval = time.Minute
	// hostKeyDelay is the time until the next look if a Git server is being asked which host key it presents.
	hostKeyDelay = 2 * time.Second
)

type reconciler struct {
	// seed caches, but not Secrets.
	seed             client.Client
	shoots           *shoot.Clients
	setHealth        func(context.Context, *extensionsv1alpha1.Extension) error
	presentedHostKey func(ctx context.Context, url string) (string, error)
	syncPeriod       time.Duration
	memory           memory
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	ex := &extensionsv1alpha1.Extension{}
	err := r.seed.Get(ctx, request.NamespacedName, ex)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("failed to read Extension %s of the seed: %w", request, err)
	}
	if apierrors.IsNotFound(err) || seed.IsLeaving(ex) {
		r.forget(request.Namespace)
		return reconcile.Result{}, nil
	}
	cluster := &extensionsv1alpha1.Cluster{}
	if err := r.seed.Get(ctx, client.ObjectKey{Name: ex.Namespace}, cluster); err != nil {
		return reconcile.Result{}, fmt.Errorf("failed to read Cluster %s of the seed: %w", ex.Namespace, err)
	}
	owner, err := extensions.ShootFromCluster(cluster)
	if err != nil {
		return reconcile.Result{}, fmt.Errorf("failed to read the Shoot in Cluster %s of the seed: %w", ex.Namespace, err)
	}
	if owner == nil { // gardenlet has not written it yet
		return reconcile.Result{RequeueAfter: r.soon()}, nil
	}
	if owner.DeletionTimestamp != nil {
		r.forget(ex.Namespace)
		return reconcile.Result{}, nil
	}

	if r.isReported(ex) {
		// After a start, not all shoots have their turn at the same time: what the process before has said of them holds.
		return reconcile.Result{RequeueAfter: rand.N(r.syncPeriod)}, nil
	}
	if ex.Status.LastOperation == nil || seed.IsUnderWay(ex) { // the shoot may have what the Extension does not tell of; that the operation ends is an event
		return reconcile.Result{RequeueAfter: r.soon()}, nil
	}
	return r.lookAndTell(ctx, ex, owner)
}

func (r *reconciler) lookAndTell(ctx context.Context, ex *extensionsv1alpha1.Extension, owner *gardencorev1beta1.Shoot) (reconcile.Result, error) {
	var now readiness.Readiness
	said := saidOf(ex)
	if unwritten := r.memory.takeUnwritten(ex); unwritten != nil {
		now = *unwritten
	} else {
		now = r.look(ctx, ex, owner)
		// That took a moment, in which other controllers may have written the status.
		if err := r.seed.Get(ctx, client.ObjectKeyFromObject(ex), ex); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
		if saidOf(ex) != said {
			return reconcile.Result{RequeueAfter: conflictDelay}, nil
		}
	}
	if err := r.tell(ctx, ex, now); apierrors.IsConflict(err) {
		// Another controller wrote the status, and this one's cache learns of it in a moment.
		r.memory.keepUnwritten(ex.Namespace, now, said)
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	if now.Reason == readiness.HostKeyMismatch && r.memory.presented(ex.Namespace) == "" {
		return reconcile.Result{RequeueAfter: hostKeyDelay}, nil
	}
	if now.Reason == readiness.Hibernated { // that costs no request, and nobody tells when the shoot is awake
		return reconcile.Result{RequeueAfter: wait.Jitter(r.syncPeriod, jitter)}, nil
	}
	return reconcile.Result{RequeueAfter: wait.Jitter(r.untilNextLook(now.Status, sinceChange(ex), r.memory.unanswered(ex.Namespace)), jitter)}, nil
}

// isReported tells whether this process sees the shoot for the first time, and another one has told how ready it is.
func (r *reconciler) isReported(ex *extensionsv1alpha1.Extension) bool {
	if r.memory.knows(ex.Namespace) {
		return false
	}
	r.memory.with(ex.Namespace, func(*shootMemory) {})
	condition := conditionOf(ex)
	return condition != nil && condition.Status != gardencorev1beta1.ConditionProgressing
}

// sinceChange is how long ago the condition changed.
func sinceChange(ex *extensionsv1alpha1.Extension) time.Duration {
	condition := conditionOf(ex)
	if condition == nil {
		return 0
	}
	return time.Since(condition.LastUpdateTime.Time)
}

// untilNextLook grows for a shoot in which nothing changes, and for one that does not answer, so that many dead shoots don't hold up the workers
// for the others.
func (r *reconciler) untilNextLook(status gardencorev1beta1.ConditionStatus, sinceChange time.Duration, unanswered int) time.Duration {
	periods := maxBrokenPeriods
	switch {
	case unanswered >= maxUnanswered:
		return r.syncPeriod * time.Duration(min(1<<min(unanswered-maxUnanswered, 8), maxPeriods))
	case unanswered > 0, status == gardencorev1beta1.ConditionProgressing:
		return r.soon()
	case status == gardencorev1beta1.ConditionTrue:
		periods = maxCalmPeriods
	}
	return min(max(sinceChange/calmPart, r.syncPeriod), r.syncPeriod*time.Duration(periods))
}

func (r *reconciler) soon() time.Duration { return r.syncPeriod / soonPart }

func (r *reconciler) forget(namespace string) {
	r.shoots.Forget(namespace)
	r.memory.forget(namespace)
}

// look returns what condition FluxReady is to say.
func (r *reconciler) look(ctx context.Context, ex *extensionsv1alpha1.Extension, owner *gardencorev1beta1.Shoot) readiness.Readiness {
	if v1beta1helper.HibernationIsEnabled(owner) || owner.Status.IsHibernated {
		r.shoots.Forget(ex.Namespace)
		return readiness.Sleeping(fluxv1alpha1.StatusOf(ex).Revision)
	}
	if said := fluxv1alpha1.StatusOf(ex); said.Problem != nil {
		return readiness.OfProblem(*said.Problem, said.Revision)
	}
	now, err := r.observe(ctx, ex, owner.Namespace)
	if err != nil {
		return r.noAnswer(ex, err)
	}
	r.memory.with(ex.Namespace, func(known *shootMemory) { known.unanswered = 0 })
	return now
}

// noAnswer lets what is known stand while a shoot gives no answer only now and then.
func (r *reconciler) noAnswer(ex *extensionsv1alpha1.Extension, err error) readiness.Readiness {
	count := 0
	r.memory.with(ex.Namespace, func(known *shootMemory) {
		known.unanswered++
		count = known.unanswered
	})
	// There may be a new kubeconfig.
	r.shoots.Forget(ex.Namespace)
	now := readiness.Unreachable(err)
	now.Revision = fluxv1alpha1.StatusOf(ex).Revision
	if before := conditionOf(ex); before != nil && count < maxUnanswered {
		now.Status, now.Reason, now.Message = before.Status, before.Reason, before.Message
	}
	return now
}

// presented returns the host key that the Git server presents to the seed, or nothing as long as nobody knows it. The server is
// asked at most once in presentedInterval.
func (r *reconciler) presented(ctx context.Context, ex *extensionsv1alpha1.Extension) string {
	url, known, fresh := fluxv1alpha1.StatusOf(ex).RepositoryURL, "", false
	r.memory.with(ex.Namespace, func(m *shootMemory) {
		if m.url != url {
			m.presented, m.url = "", url
		}
		pause := presentedInterval
		if m.presented == readiness.NoHostKey {
			pause = silentInterval
		}
		known, fresh = m.presented, m.presented != "" && time.Since(m.presentedAt) < pause
	})
	if fresh {
		return known
	}
	presented, err := r.presentedHostKey(ctx, url)
	switch {
	case errors.Is(err, sourcesecret.ErrPending):
		return known
	case err != nil:
		presented = readiness.NoHostKey
	}
	r.memory.with(ex.Namespace, func(m *shootMemory) { m.presented, m.presentedAt = presented, time.Now() })
	return presented
}
