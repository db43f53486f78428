// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/extensions"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health/checker"
)

// careInterval is how often a shoot is examined even if nothing changes in the seed (gardenlet: every 30 seconds).
const careInterval = 3 * time.Second

// careReconciler collects the health of a shoot into the Shoot's conditions, like gardenlet's care controller: those conditions that do not
// need nodes. Requests name a shoot's namespace in the seed.
type careReconciler struct {
	log    logr.Logger
	garden client.Client
	seed   client.Client
}

func (r *careReconciler) addToManager(mgr manager.Manager, seed ctrlcluster.Cluster) error {
	byNamespace := func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: object.GetNamespace()}}}
	}
	byName := func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Name: object.GetName()}}}
	}
	return builder.ControllerManagedBy(mgr).
		Named("shoot-care").
		WatchesRawSource(source.Kind[client.Object](seed.GetCache(), &extensionsv1alpha1.Cluster{}, handler.EnqueueRequestsFromMapFunc(byName))).
		WatchesRawSource(source.Kind[client.Object](seed.GetCache(), &extensionsv1alpha1.Extension{}, handler.EnqueueRequestsFromMapFunc(byNamespace))).
		WatchesRawSource(source.Kind[client.Object](seed.GetCache(), &resourcesv1alpha1.ManagedResource{}, handler.EnqueueRequestsFromMapFunc(byNamespace))).
		WithOptions(controller.Options{MaxConcurrentReconciles: concurrentShoots}).
		Complete(r)
}

// Reconcile writes the Shoot's conditions if they changed.
func (r *careReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	shoot, err := r.shoot(ctx, request.Name)
	if err != nil || shoot == nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	conditions, err := r.examine(ctx, request.Name, shoot)
	if err != nil {
		return reconcile.Result{}, err
	}
	merged := v1beta1helper.MergeConditions(shoot.Status.Conditions, conditions...)
	if v1beta1helper.ConditionsNeedUpdate(shoot.Status.Conditions, merged) {
		patch := client.MergeFrom(shoot.DeepCopy())
		shoot.Status.Conditions = merged
		if err := r.garden.Status().Patch(ctx, shoot, patch); err != nil {
			return reconcile.Result{}, client.IgnoreNotFound(err)
		}
	}
	return reconcile.Result{RequeueAfter: careInterval}, nil
}

// shoot returns the Shoot whose control plane is in the namespace; nil if there is none, if it is not created yet, is being deleted, or
// sleeps.
func (r *careReconciler) shoot(ctx context.Context, namespace string) (*gardencorev1beta1.Shoot, error) {
	cluster, err := extensions.GetCluster(ctx, r.seed, namespace)
	if err != nil || cluster.Shoot == nil {
		return nil, err
	}
	shoot := &gardencorev1beta1.Shoot{}
	if err := r.garden.Get(ctx, client.ObjectKeyFromObject(cluster.Shoot), shoot); err != nil {
		return nil, err
	}
	if shoot.Status.LastOperation == nil || shoot.DeletionTimestamp != nil || shoot.Status.IsHibernated {
		return nil, nil
	}
	return shoot, nil
}

// examination is what the conditions of one shoot are made of.
type examination struct {
	checker          *checker.HealthChecker
	shoot            *gardencorev1beta1.Shoot
	extensions       []extensionsv1alpha1.Extension
	managedResources []resourcesv1alpha1.ManagedResource
	deployments      []appsv1.Deployment
}

func (r *careReconciler) examine(ctx context.Context, namespace string, shoot *gardencorev1beta1.Shoot) ([]gardencorev1beta1.Condition, error) {
	var (
		extensionList       extensionsv1alpha1.ExtensionList
		managedResourceList resourcesv1alpha1.ManagedResourceList
		deploymentList      appsv1.DeploymentList
	)
	for _, list := range []client.ObjectList{&extensionList, &managedResourceList, &deploymentList} {
		if err := r.seed.List(ctx, list, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	e := &examination{
		checker:          checker.NewHealthChecker(r.log, r.seed, clock.RealClock{}, checker.WithLastOperation(shoot.Status.LastOperation)),
		shoot:            shoot,
		extensions:       extensionList.Items,
		managedResources: managedResourceList.Items,
		deployments:      deploymentList.Items,
	}
	return []gardencorev1beta1.Condition{
		r.apiServerAvailable(ctx, namespace, shoot),
		e.controlPlaneHealthy(),
		e.observabilityComponentsHealthy(),
		e.systemComponentsHealthy(),
	}, nil
}

func (r *careReconciler) apiServerAvailable(ctx context.Context, namespace string, shoot *gardencorev1beta1.Shoot) gardencorev1beta1.Condition {
	condition := v1beta1helper.GetOrInitConditionWithClock(clock.RealClock{}, shoot.Status.Conditions, gardencorev1beta1.ShootAPIServerAvailable)
	failed := func(reason, message string) gardencorev1beta1.Condition {
		return v1beta1helper.FailedCondition(clock.RealClock{}, shoot.Status.LastOperation, nil, condition, reason, message)
	}
	clientSet, err := kubernetes.NewClientFromSecret(ctx, r.seed, namespace, v1beta1constants.SecretNameGardenerInternal, kubernetes.WithDisabledCachedClient())
	if err != nil {
		return failed("APIServerDown", "Could not reach API server during client initialization.")
	}
	return health.CheckAPIServerAvailability(ctx, clock.RealClock{}, r.log, condition, clientSet.RESTClient(), failed)
}

func (e *examination) controlPlaneHealthy() gardencorev1beta1.Condition {
	condition := e.condition(gardencorev1beta1.ShootControlPlaneHealthy)
	for _, deployment := range e.deployments {
		if err := health.CheckDeployment(&deployment); err != nil {
			return v1beta1helper.FailedCondition(clock.RealClock{}, e.shoot.Status.LastOperation, nil, condition,
				"DeploymentUnhealthy", "Deployment "+deployment.Name+" is unhealthy: "+err.Error())
		}
	}
	return e.check(condition, "ControlPlaneRunning", "All control plane components are healthy.", func(mr resourcesv1alpha1.ManagedResource) bool {
		conditionType := mr.Labels[v1beta1constants.LabelCareConditionType]
		return mr.Spec.Class != nil && (conditionType == "" || conditionType == string(condition.Type))
	})
}

func (e *examination) observabilityComponentsHealthy() gardencorev1beta1.Condition {
	condition := e.condition(gardencorev1beta1.ShootObservabilityComponentsHealthy)
	return e.check(condition, "ObservabilityComponentsRunning", "All observability components are healthy.", func(mr resourcesv1alpha1.ManagedResource) bool {
		return mr.Labels[v1beta1constants.LabelCareConditionType] == string(condition.Type)
	})
}

func (e *examination) systemComponentsHealthy() gardencorev1beta1.Condition {
	condition := e.condition(gardencorev1beta1.ShootSystemComponentsHealthy)
	return e.check(condition, "SystemComponentsRunning", "All system components are healthy.", func(mr resourcesv1alpha1.ManagedResource) bool {
		return mr.Spec.Class == nil || mr.Labels[v1beta1constants.LabelCareConditionType] == string(condition.Type)
	})
}

func (e *examination) condition(conditionType gardencorev1beta1.ConditionType) gardencorev1beta1.Condition {
	return v1beta1helper.GetOrInitConditionWithClock(clock.RealClock{}, e.shoot.Status.Conditions, conditionType)
}

// check returns the condition as the extensions and the selected ManagedResources make it.
func (e *examination) check(condition gardencorev1beta1.Condition, reason, message string, selected func(resourcesv1alpha1.ManagedResource) bool) gardencorev1beta1.Condition {
	if failed := e.checker.CheckExtensionCondition(condition, e.reported(condition.Type), nil); failed != nil {
		return *failed
	}
	if failed := e.checker.CheckManagedResources(condition, e.managedResources, selected, nil, nil); failed != nil {
		return *failed
	}
	return v1beta1helper.UpdatedConditionWithClock(clock.RealClock{}, condition, gardencorev1beta1.ConditionTrue, reason, message)
}

// reported are the conditions of this type that extensions report.
func (e *examination) reported(conditionType gardencorev1beta1.ConditionType) []checker.ExtensionCondition {
	var conditions []checker.ExtensionCondition
	for _, extension := range e.extensions {
		for _, condition := range extension.Status.Conditions {
			if condition.Type == conditionType {
				conditions = append(conditions, checker.ExtensionCondition{
					Condition:          condition,
					ExtensionType:      extensionsv1alpha1.ExtensionResource,
					ExtensionName:      extension.Name,
					ExtensionNamespace: extension.Namespace,
				})
			}
		}
	}
	return conditions
}
