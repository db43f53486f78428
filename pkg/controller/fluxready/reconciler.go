// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

const (
	// interval is the time between two looks into a shoot.
	interval = 30 * time.Second
	// soon is the time until the next look if something is under way.
	soon = 10 * time.Second
	// conflictDelay is the time until the next try to write a status that somebody else has just written.
	conflictDelay = time.Second
	// patience bounds one look, so that shoots that do not answer hold up the workers for a short time only.
	patience = 10 * time.Second
	// jitter spreads the looks into many shoots after a start.
	jitter = 0.2
	// maxUnanswered is how often in a row a shoot may give no answer before its condition changes.
	maxUnanswered = 3
	// maxInterval is the time between two looks into a shoot that has given no answer for long.
	maxInterval = 2 * time.Minute
)

type reconciler struct {
	// seed caches, but not Secrets.
	seed             client.Client
	shoots           *shoot.Clients
	presentedHostKey func(ctx context.Context, url string) (string, error)

	mutex sync.Mutex
	// unanswered counts by namespace of the seed how often in a row a shoot gave no answer.
	unanswered map[string]int
}

// Reconcile implements reconcile.Reconciler.
func (r *reconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	ex := &extensionsv1alpha1.Extension{}
	err := r.seed.Get(ctx, request.NamespacedName, ex)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, fmt.Errorf("failed to read Extension %s of the seed: %w", request, err)
	}
	if apierrors.IsNotFound(err) || leaves(ex) {
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
		return reconcile.Result{RequeueAfter: soon}, nil
	}
	if owner.DeletionTimestamp != nil {
		r.forget(ex.Namespace)
		return reconcile.Result{}, nil
	}

	now := r.look(ctx, ex, owner)
	if err := r.tell(ctx, ex, now); apierrors.IsConflict(err) {
		// Another controller wrote the status, and this one's cache learns of it in a moment.
		return reconcile.Result{RequeueAfter: conflictDelay}, nil
	} else if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: wait.Jitter(untilNextLook(now.Status, r.unansweredOf(ex.Namespace)), jitter)}, nil
}

// untilNextLook grows for a shoot that does not answer, so that many dead shoots don't hold up the workers for the others.
func untilNextLook(status gardencorev1beta1.ConditionStatus, unanswered int) time.Duration {
	switch {
	case unanswered >= maxUnanswered:
		return min(interval<<min(unanswered-maxUnanswered, 8), maxInterval)
	case unanswered > 0, status == gardencorev1beta1.ConditionProgressing:
		return soon
	default:
		return interval
	}
}

// unansweredOf tells how often in a row the shoot has given no answer.
func (r *reconciler) unansweredOf(namespace string) int {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.unanswered[namespace]
}

// leaves tells whether the shoot is no longer the seed's to look into.
func leaves(ex *extensionsv1alpha1.Extension) bool {
	return ex.DeletionTimestamp != nil || ex.Annotations[v1beta1constants.GardenerOperation] == v1beta1constants.GardenerOperationMigrate ||
		ex.Status.LastOperation != nil && ex.Status.LastOperation.Type == gardencorev1beta1.LastOperationTypeMigrate
}

func (r *reconciler) forget(namespace string) {
	r.shoots.Forget(namespace)
	r.mutex.Lock()
	defer r.mutex.Unlock()
	delete(r.unanswered, namespace)
}

// look returns what condition FluxReady is to say.
func (r *reconciler) look(ctx context.Context, ex *extensionsv1alpha1.Extension, owner *gardencorev1beta1.Shoot) readiness.Readiness {
	if v1beta1helper.HibernationIsEnabled(owner) || owner.Status.IsHibernated {
		r.forget(ex.Namespace)
		return readiness.Sleeping(fluxv1alpha1.StatusOf(ex).Revision)
	}
	if said := fluxv1alpha1.StatusOf(ex); said.Problem != nil {
		return readiness.OfProblem(*said.Problem, said.Revision)
	}
	looking, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	now, err := r.observe(looking, ex, owner.Namespace)
	if err != nil {
		return r.noAnswer(ex, err)
	}
	r.mutex.Lock()
	delete(r.unanswered, ex.Namespace)
	r.mutex.Unlock()
	if now.Reason == readiness.HostKeyMismatch {
		now.Message = r.withPresentedHostKey(ctx, ex, now.Message)
	}
	return now
}

// noAnswer lets what is known stand while a shoot gives no answer only now and then.
func (r *reconciler) noAnswer(ex *extensionsv1alpha1.Extension, err error) readiness.Readiness {
	r.mutex.Lock()
	r.unanswered[ex.Namespace]++
	count := r.unanswered[ex.Namespace]
	r.mutex.Unlock()
	now := readiness.Unreachable(err)
	now.Revision = fluxv1alpha1.StatusOf(ex).Revision
	if before := conditionOf(ex); before != nil && count < maxUnanswered {
		now.Status, now.Reason, now.Message = before.Status, before.Reason, before.Message
	}
	return now
}

// withPresentedHostKey adds to a sentence which host key the Git server presents. It asks the server only if that has not been
// said yet.
func (r *reconciler) withPresentedHostKey(ctx context.Context, ex *extensionsv1alpha1.Extension, sentence string) string {
	sentence += "; to the seed the server presents "
	if before := conditionOf(ex); before != nil && strings.HasPrefix(before.Message, sentence) {
		return before.Message
	}
	presented, err := r.presentedHostKey(ctx, fluxv1alpha1.StatusOf(ex).RepositoryURL)
	if err != nil {
		return sentence + "no key that could be read"
	}
	return sentence + presented
}
