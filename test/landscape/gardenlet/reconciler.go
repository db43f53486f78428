// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"errors"
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/controllerutils"
	"github.com/gardener/gardener/pkg/extensions"
	"github.com/gardener/gardener/pkg/gardenlet/controller/shoot/shoot/helper"
	"github.com/gardener/gardener/pkg/utils/flow"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
)

// firstRetryInterval is the pause after the first failure: gardenlet's rights for a Shoot come a moment after it is scheduled.
const firstRetryInterval = 100 * time.Millisecond

// concurrentShoots is how many flows run at the same time. A flow waits for other components, as gardenlet's do.
const concurrentShoots = 20

// shootReconciler runs gardenlet's flows.
type shootReconciler struct {
	options Options
	garden  client.Client
	seed    kubernetes.Interface
}

func (r *shootReconciler) addToManager(mgr manager.Manager, garden ctrlcluster.Cluster) error {
	return builder.ControllerManagedBy(mgr).
		Named("shoot").
		WatchesRawSource(source.Kind[client.Object](garden.GetCache(), &gardencorev1beta1.Shoot{}, &handler.EnqueueRequestForObject{}, r.reconcilable())).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrentShoots,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetryInterval, r.options.RetryInterval),
		}).
		Complete(r)
}

// reconcilable selects the seed's Shoots when they come, and when there is something to do: gardener-apiserver changes the generation then,
// also for a deletion or an operation annotation.
func (r *shootReconciler) reconcilable() predicate.Predicate {
	return predicate.Funcs{
		CreateFunc: func(e event.CreateEvent) bool { return r.responsible(e.Object) },
		UpdateFunc: func(e event.UpdateEvent) bool {
			return r.responsible(e.ObjectNew) && (e.ObjectNew.GetGeneration() != e.ObjectOld.GetGeneration() || !r.responsible(e.ObjectOld))
		},
		DeleteFunc: func(event.DeleteEvent) bool { return false },
	}
}

func (r *shootReconciler) responsible(object client.Object) bool {
	shoot, ok := object.(*gardencorev1beta1.Shoot)
	return ok && gardenerutils.GetResponsibleSeedName(shoot.Spec.SeedName, shoot.Status.SeedName) == r.options.SeedName
}

// Reconcile runs one flow for the Shoot.
func (r *shootReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	shoot := &gardencorev1beta1.Shoot{}
	if err := r.garden.Get(ctx, request.NamespacedName, shoot); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if !r.responsible(shoot) || shoot.DeletionTimestamp != nil && !controllerutil.ContainsFinalizer(shoot, gardencorev1beta1.GardenerName) {
		return reconcile.Result{}, nil
	}
	if failedForGood(shoot) {
		return reconcile.Result{}, r.syncFailed(ctx, shoot)
	}
	if err := r.accept(ctx, shoot); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{}, r.operate(ctx, shoot)
}

// failedForGood says whether gardenlet would leave the Shoot alone, until somebody changes it or asks for a retry.
func failedForGood(shoot *gardencorev1beta1.Shoot) bool {
	last := shoot.Status.LastOperation
	return last != nil && last.State == gardencorev1beta1.LastOperationStateFailed &&
		shoot.Generation == shoot.Status.ObservedGeneration
}

// syncFailed lets extensions know that the Shoot has been given up.
func (r *shootReconciler) syncFailed(ctx context.Context, shoot *gardencorev1beta1.Shoot) error {
	o, err := r.newOperation(ctx, shoot)
	if err != nil {
		return err
	}
	return o.syncCluster(ctx, shoot)
}

// accept prepares the Shoot for an operation.
func (r *shootReconciler) accept(ctx context.Context, shoot *gardencorev1beta1.Shoot) error {
	if shoot.DeletionTimestamp == nil && !controllerutil.ContainsFinalizer(shoot, gardencorev1beta1.GardenerName) {
		if err := controllerutils.AddFinalizers(ctx, r.garden, shoot, gardencorev1beta1.GardenerName); err != nil {
			return fmt.Errorf("failed to add the finalizer to Shoot %s: %w", client.ObjectKeyFromObject(shoot), err)
		}
	}
	return nil
}

// operate runs the flow and writes how it went into the Shoot's status.
func (r *shootReconciler) operate(ctx context.Context, shoot *gardencorev1beta1.Shoot) error {
	operationType := helper.ComputeOperationType(shoot)
	if operationType == gardencorev1beta1.LastOperationTypeMigrate {
		if err := checkReadyForMigration(shoot); err != nil {
			return err
		}
	}
	project, _, err := gardenerutils.ProjectAndNamespaceFromReader(ctx, r.garden, shoot.Namespace)
	if err == nil && project == nil {
		err = fmt.Errorf("cannot find Project for namespace '%s'", shoot.Namespace)
	}
	if err != nil {
		return err
	}
	if err := r.reportStart(ctx, shoot, operationType, gardenerutils.ComputeTechnicalID(project.Name, shoot)); err != nil {
		return err
	}
	o, err := r.newOperation(ctx, shoot)
	if err == nil {
		err = o.syncCluster(ctx, shoot)
	}
	if err != nil {
		return r.reportError(ctx, shoot, operationType, err)
	}
	switch {
	case shoot.DeletionTimestamp != nil:
		return r.delete(ctx, o)
	case operationType == gardencorev1beta1.LastOperationTypeMigrate:
		return r.migrate(ctx, o)
	}
	if err := o.reconcile(ctx); err != nil {
		return r.reportError(ctx, o.Shoot.GetInfo(), operationType, err)
	}
	shoot = o.Shoot.GetInfo()
	description := "Shoot cluster has been successfully reconciled."
	if operationType == gardencorev1beta1.LastOperationTypeRestore {
		description = "Shoot cluster has been successfully restored."
	}
	if err := r.reportSuccess(ctx, shoot, operationType, description); err != nil {
		return err
	}
	return o.syncCluster(ctx, shoot)
}

// migrate runs the flow that prepares the Shoot for its next seed, and hands it over.
func (r *shootReconciler) migrate(ctx context.Context, o *operation) error {
	const operationType = gardencorev1beta1.LastOperationTypeMigrate
	err := o.migrate(ctx)
	if err == nil {
		err = o.DeleteClusterResourceFromSeed(ctx)
	}
	if err != nil {
		return r.reportError(ctx, o.Shoot.GetInfo(), operationType, err)
	}
	return r.reportSuccess(ctx, o.Shoot.GetInfo(), operationType, "Shoot cluster has been successfully prepared for migration.")
}

// delete runs the deletion flow and lets the Shoot go.
func (r *shootReconciler) delete(ctx context.Context, o *operation) error {
	const operationType = gardencorev1beta1.LastOperationTypeDelete
	deletion := o.delete
	if v1beta1helper.ShootNeedsForceDeletion(o.Shoot.GetInfo()) {
		deletion = o.forceDelete
	}
	err := deletion(ctx)
	if err == nil {
		err = o.DeleteClusterResourceFromSeed(ctx)
	}
	shoot := o.Shoot.GetInfo()
	if err != nil {
		return r.reportError(ctx, shoot, operationType, err)
	}
	if err := r.reportSuccess(ctx, shoot, operationType, "Shoot cluster has been successfully deleted."); err != nil {
		return err
	}
	return controllerutils.RemoveFinalizers(ctx, r.garden, shoot, gardencorev1beta1.GardenerName)
}

// reportStart writes that the operation began. shoot gets the status as it is then.
func (r *shootReconciler) reportStart(ctx context.Context, shoot *gardencorev1beta1.Shoot, operationType gardencorev1beta1.LastOperationType, technicalID string) error {
	patch := client.MergeFrom(shoot.DeepCopy())
	shoot.Status.TechnicalID = technicalID
	shoot.Status.UID = shoot.UID
	shoot.Status.SeedName = &r.options.SeedName
	shoot.Status.ObservedGeneration = shoot.Generation
	shoot.Status.Gardener = *r.options.identity()
	description := "Reconciliation of Shoot cluster initialized."
	switch operationType {
	case gardencorev1beta1.LastOperationTypeDelete:
		description = "Deletion of Shoot cluster in progress."
	case gardencorev1beta1.LastOperationTypeMigrate:
		description = "Preparation of Shoot cluster for migration initialized."
	case gardencorev1beta1.LastOperationTypeRestore:
		description = "Restoration of Shoot cluster initialized."
	}
	setLastOperation(shoot, operationType, gardencorev1beta1.LastOperationStateProcessing, 0, description)
	return r.garden.Status().Patch(ctx, shoot, patch)
}

func (r *shootReconciler) reportSuccess(ctx context.Context, shoot *gardencorev1beta1.Shoot, operationType gardencorev1beta1.LastOperationType, description string) error {
	patch := client.MergeFrom(shoot.DeepCopy())
	shoot.Status.LastErrors = nil
	if operationType != gardencorev1beta1.LastOperationTypeDelete {
		shoot.Status.SeedName = shoot.Spec.SeedName // from now on, another gardenlet may be responsible
		shoot.Status.IsHibernated = v1beta1helper.HibernationIsEnabled(shoot)
	}
	setLastOperation(shoot, operationType, gardencorev1beta1.LastOperationStateSucceeded, 100, description)
	return r.garden.Status().Patch(ctx, shoot, patch)
}

// reportError writes what went wrong, in gardenlet's words, and returns an error that makes the controller come back: to try again, or, if a
// user has to do something first, to let the seed know.
func (r *shootReconciler) reportError(ctx context.Context, shoot *gardencorev1beta1.Shoot, operationType gardencorev1beta1.LastOperationType, err error) error {
	if ctx.Err() != nil {
		return ctx.Err() // stopped in the middle: that tells nothing about the shoot
	}
	failure := v1beta1helper.NewWrappedLastErrors(v1beta1helper.FormatLastErrDescription(err), lastErrors(err))
	state, progress := gardencorev1beta1.LastOperationStateError, int32(0)
	if shoot.Status.LastOperation != nil {
		progress = shoot.Status.LastOperation.Progress
	}
	description := failure.Description + " Operation will be retried."
	if v1beta1helper.HasNonRetryableErrorCode(failure.LastErrors...) {
		state, description = gardencorev1beta1.LastOperationStateFailed, failure.Description
	}
	patch := client.MergeFrom(shoot.DeepCopy())
	shoot.Status.LastErrors = failure.LastErrors
	setLastOperation(shoot, operationType, state, progress, description)
	return errors.Join(errors.New(failure.Description), r.garden.Status().Patch(ctx, shoot, patch))
}

// lastErrors returns the errors of a flow's tasks, and err itself if it is of no flow.
func lastErrors(err error) error {
	if tasks := flow.Errors(err); tasks != nil {
		return tasks
	}
	return err
}

func setLastOperation(shoot *gardencorev1beta1.Shoot, operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState, progress int32, description string) {
	shoot.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: operationType, State: state, Progress: progress, Description: description, LastUpdateTime: metav1.Now(),
	}
}

// syncCluster writes the Cluster resource, in which extensions find the Shoot.
func (o *operation) syncCluster(ctx context.Context, shoot *gardencorev1beta1.Shoot) error {
	return extensions.SyncClusterResourceToSeed(ctx, o.SeedClientSet.Client(), o.Shoot.ControlPlaneNamespace, shoot, o.Shoot.CloudProfile, o.Seed.GetInfo())
}
