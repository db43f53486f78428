// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	concurrentDeployments = 20
	restartDelay          = time.Second
	podsDir               = "pods"
)

// Deployments runs a cluster's Deployments of one program as processes, one for each replica, with the files, arguments, environment and
// identity that their pods have. A change of the pod template starts new processes, and ends the old ones when the new ones are ready, as a
// Deployment does that may have twice as many pods meanwhile; files follow their Secrets. The Deployment's status says when the processes are
// ready.
type Deployments struct {
	// Program is the name of the Deployments, of their container and of the program's file.
	Program string
	// Adapt makes the program that the mounted container is runnable outside of a cluster: ports, and where its cluster is.
	Adapt func(namespace string, mounted *Mounted, program *process.Program) error
	// Recreate ends old processes before new ones start, whatever the Deployment's strategy says: for programs whose ports stay the same.
	Recreate bool
	// Client has all rights in the cluster; Config says where it is.
	Client client.Client
	Config *rest.Config
	// Bin has the program.
	Bin process.Binaries
	// Images, if set, are where the program comes from in place of Bin: it is what its image has, and runs in a container of that.
	Images *Images
	// Dir is the directory of the landscape's state.
	Dir string
	// Log gets what is started and what crashes.
	Log logr.Logger

	host    *Host
	runner  Runner
	crashed chan event.GenericEvent

	mutex    sync.Mutex
	replicas map[string][]*replica // by namespace
	services map[string]*Service   // by namespace and port
}

// AddToManager begins to run Deployments when the manager starts.
func (d *Deployments) AddToManager(mgr manager.Manager, c ctrlcluster.Cluster) error {
	d.crashed = make(chan event.GenericEvent, 1)
	d.host = &Host{Client: d.Client, Config: d.Config, Dir: filepath.Join(d.Dir, podsDir), Contained: d.Images != nil}
	d.replicas = map[string][]*replica{}
	byName := func(_ context.Context, object client.Object) []reconcile.Request {
		if object.GetName() != d.Program {
			return nil
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	}
	// Volumes follow their Secrets.
	ofNamespace := func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: d.Program}}}
	}
	return builder.ControllerManagedBy(mgr).
		Named("deployments-of-" + d.Program).
		WatchesRawSource(source.Kind[client.Object](c.GetCache(), &appsv1.Deployment{}, handler.EnqueueRequestsFromMapFunc(byName))).
		WatchesRawSource(source.Kind[client.Object](c.GetCache(), &corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(ofNamespace))).
		WatchesRawSource(source.Channel(d.crashed, handler.Funcs{GenericFunc: restartLater})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrentDeployments,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](restartDelay, 30*restartDelay),
		}).
		Complete(d)
}

// restartLater leaves some time after a crash.
func restartLater(_ context.Context, crashed event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(crashed.Object)}, restartDelay)
}

// Reconcile makes the processes what the Deployment says, and the Deployment's status what the processes are.
func (d *Deployments) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	deployment := &appsv1.Deployment{}
	err := d.Client.Get(ctx, request.NamespacedName, deployment)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	if err != nil || deployment.DeletionTimestamp != nil || *deployment.Spec.Replicas == 0 {
		return reconcile.Result{}, d.stop(request.Namespace, d.of(request.Namespace))
	}
	refresh, err := d.run(ctx, deployment)
	if err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: refresh}, d.reportReady(ctx, deployment)
}

// reportReady writes the status that the Deployment's controller would write when its pods are ready.
func (d *Deployments) reportReady(ctx context.Context, deployment *appsv1.Deployment) error {
	if deployment.Status.ObservedGeneration == deployment.Generation {
		return nil
	}
	patch := client.MergeFrom(deployment.DeepCopy())
	replicas := *deployment.Spec.Replicas
	now := metav1.Now()
	deployment.Status = appsv1.DeploymentStatus{
		ObservedGeneration: deployment.Generation,
		Replicas:           replicas,
		UpdatedReplicas:    replicas,
		ReadyReplicas:      replicas,
		AvailableReplicas:  replicas,
		Conditions: []appsv1.DeploymentCondition{
			{Type: appsv1.DeploymentAvailable, Status: corev1.ConditionTrue, Reason: "MinimumReplicasAvailable", LastUpdateTime: now, LastTransitionTime: now},
			{Type: appsv1.DeploymentProgressing, Status: corev1.ConditionTrue, Reason: "NewReplicaSetAvailable", LastUpdateTime: now, LastTransitionTime: now},
		},
	}
	return d.Client.Status().Patch(ctx, deployment, patch)
}
