// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"fmt"
	"path/filepath"
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

	"github.com/gardener/gardener/pkg/utils"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	concurrentDeployments = 20
	restartDelay          = time.Second
	podsDir               = "pods"
)

// Deployments runs a cluster's Deployments of one program as processes, one for each, with the files, arguments, environment and identity
// that their pods have. A change of the pod template starts a new process; files follow their Secrets. The Deployment's status says when
// the process is ready.
type Deployments struct {
	// Program is the name of the Deployments, of their container and of the program's file.
	Program string
	// Adapt makes the program that the mounted container is runnable outside of a cluster: ports, and where its cluster is.
	Adapt func(namespace string, mounted *Mounted, program *process.Program) error
	// Client has all rights in the cluster; Config says where it is.
	Client client.Client
	Config *rest.Config
	// Bin has the program.
	Bin process.Binaries
	// Dir is the directory of the landscape's state.
	Dir string
	// Log gets what is started and what crashes.
	Log logr.Logger

	host    *Host
	runner  Runner
	crashed chan event.GenericEvent
}

// AddToManager begins to run Deployments when the manager starts.
func (d *Deployments) AddToManager(mgr manager.Manager, c ctrlcluster.Cluster) error {
	d.crashed = make(chan event.GenericEvent, 1)
	d.host = &Host{Client: d.Client, Config: d.Config, Dir: filepath.Join(d.Dir, podsDir)}
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

// StopAll ends all processes.
func (d *Deployments) StopAll() error { return d.runner.StopAll() }

// Process returns the process of the Deployment in the namespace, if it runs.
func (d *Deployments) Process(namespace string) (*process.Process, bool) {
	return d.runner.Process(namespace)
}

// Processes returns what runs, by namespace.
func (d *Deployments) Processes() map[string]*process.Process { return d.runner.Processes() }

// Reconcile makes the process what the Deployment says, and the Deployment's status what the process is.
func (d *Deployments) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	deployment := &appsv1.Deployment{}
	err := d.Client.Get(ctx, request.NamespacedName, deployment)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	if err != nil || deployment.DeletionTimestamp != nil || *deployment.Spec.Replicas == 0 {
		return reconcile.Result{}, d.stop(request.Namespace)
	}
	mounted, err := d.host.Mount(ctx, Pod{Namespace: deployment.Namespace, Name: deployment.Name, Spec: deployment.Spec.Template.Spec}, d.Program)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := d.run(ctx, deployment, mounted); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: mounted.RefreshAfter()}, d.reportReady(ctx, deployment)
}

func (d *Deployments) stop(namespace string) error {
	if err := d.runner.Stop(namespace); err != nil {
		d.Log.Error(err, "The program had crashed", "program", d.Program, "namespace", namespace)
	}
	return d.host.Forget(namespace, d.Program)
}

// run starts the process if it does not run with the Deployment's template yet.
func (d *Deployments) run(ctx context.Context, deployment *appsv1.Deployment, mounted *Mounted) error {
	revision := utils.ComputeChecksum(deployment.Spec.Template)
	if d.runner.Running(deployment.Namespace, revision) {
		return nil
	}
	program, err := d.program(deployment, mounted)
	if err != nil {
		return fmt.Errorf("failed to turn Deployment %s into a process: %w", client.ObjectKeyFromObject(deployment), err)
	}
	if err := d.runner.Ensure(ctx, deployment.Namespace, revision, program); err != nil {
		return err
	}
	d.Log.Info("A Deployment runs", "program", d.Program, "namespace", deployment.Namespace, "generation", deployment.Generation, "args", program.Args)
	return nil
}

// program is the Deployment's container as a program.
func (d *Deployments) program(deployment *appsv1.Deployment, mounted *Mounted) (process.Program, error) {
	path, err := d.Bin.Path(d.Program)
	if err != nil {
		return process.Program{}, err
	}
	args, err := mounted.Args()
	if err != nil {
		return process.Program{}, err
	}
	env, err := mounted.Env()
	if err != nil {
		return process.Program{}, err
	}
	program := process.Program{
		Name: deployment.Namespace + "-" + d.Program,
		Path: path,
		Args: args,
		Env:  env,
		Dir:  d.Dir,
		OnExit: func(err error) {
			d.Log.Error(err, "The program crashed, it is started again soon", "program", d.Program, "namespace", deployment.Namespace)
			go func() { d.crashed <- event.GenericEvent{Object: deployment} }()
		},
	}
	return program, d.Adapt(deployment.Namespace, mounted, &program)
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
