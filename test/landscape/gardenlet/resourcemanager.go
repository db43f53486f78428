// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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
	"sigs.k8s.io/yaml"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
	"github.com/gardener/gardener/pkg/logger"
	"github.com/gardener/gardener/pkg/utils"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet/workload"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	resourceManagerName = v1beta1constants.DeploymentNameGardenerResourceManager
	// resourceManagerImage is where Gardener publishes the image. Only its tag matters here: it tells webhooks the version.
	resourceManagerImage = "europe-docker.pkg.dev/gardener-project/releases/gardener/resource-manager"
	configFlag           = "--config="
	restartDelay         = time.Second
)

// resourceManagerValues are those of botanist's DefaultResourceManager for a hosted shoot. The differences: a tag for the image, and
// IsWorkerless, which turns off webhooks and what works on nodes.
func (o *operation) resourceManagerValues(seedVersion *semver.Version) resourcemanager.Values {
	return resourcemanager.Values{
		ClusterIdentity:          o.Seed.GetInfo().Status.ClusterIdentity,
		Image:                    resourceManagerImage + ":" + o.options.GardenerVersion,
		IsWorkerless:             true,
		LogLevel:                 logger.InfoLevel,
		LogFormat:                logger.FormatJSON,
		PriorityClassName:        v1beta1constants.PriorityClassNameShootControlPlane400,
		RuntimeKubernetesVersion: seedVersion,
		SecretNameServerCA:       v1beta1constants.SecretNameCACluster,
		TargetNamespaces:         []string{metav1.NamespaceSystem, v1beta1constants.KubernetesDashboardNamespace, corev1.NamespaceNodeLease},
	}
}

// resourceManagers runs each shoot's Deployment of gardener-resource-manager as a process.
type resourceManagers struct {
	client client.Client
	bin    process.Binaries
	dir    string
	log    logr.Logger
	runner *workload.Runner
	host   *workload.Host

	crashed chan event.GenericEvent
	mutex   sync.Mutex
	ports   map[string]ports // by namespace
}

// ports of a resource manager stay the same as long as the landscape lives.
type ports struct{ health, metrics, webhooks int }

func (r *resourceManagers) addToManager(mgr manager.Manager, seed ctrlcluster.Cluster) error {
	r.crashed = make(chan event.GenericEvent, 1)
	r.ports = map[string]ports{}
	isResourceManager := func(_ context.Context, object client.Object) []reconcile.Request {
		if object.GetName() != resourceManagerName {
			return nil
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKeyFromObject(object)}}
	}
	// Volumes follow their Secrets.
	ofNamespace := func(_ context.Context, object client.Object) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: object.GetNamespace(), Name: resourceManagerName}}}
	}
	return builder.ControllerManagedBy(mgr).
		Named("resource-manager").
		WatchesRawSource(source.Kind[client.Object](seed.GetCache(), &appsv1.Deployment{}, handler.EnqueueRequestsFromMapFunc(isResourceManager))).
		WatchesRawSource(source.Kind[client.Object](seed.GetCache(), &corev1.Secret{}, handler.EnqueueRequestsFromMapFunc(ofNamespace))).
		WatchesRawSource(source.Channel(r.crashed, handler.Funcs{GenericFunc: restartLater})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: concurrentShoots,
			SkipNameValidation:      new(true),
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](restartDelay, 30*restartDelay),
		}).
		Complete(r)
}

// restartLater leaves some time after a crash.
func restartLater(_ context.Context, crashed event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKeyFromObject(crashed.Object)}, restartDelay)
}

// Reconcile makes the process what the Deployment says, and the Deployment's status what the process is.
func (r *resourceManagers) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	deployment := &appsv1.Deployment{}
	err := r.client.Get(ctx, request.NamespacedName, deployment)
	if client.IgnoreNotFound(err) != nil {
		return reconcile.Result{}, err
	}
	if err != nil || deployment.DeletionTimestamp != nil || *deployment.Spec.Replicas == 0 {
		return reconcile.Result{}, r.stop(request.Namespace)
	}
	mounted, err := r.host.Mount(ctx, workload.Pod{Namespace: deployment.Namespace, Name: deployment.Name, Spec: deployment.Spec.Template.Spec}, resourceManagerName)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := r.run(ctx, deployment, mounted); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: mounted.RefreshAfter()}, r.reportReady(ctx, deployment)
}

func (r *resourceManagers) stop(namespace string) error {
	if err := r.runner.Stop(namespace); err != nil {
		r.log.Error(err, "gardener-resource-manager had crashed", "namespace", namespace)
	}
	return r.host.Forget(namespace, resourceManagerName)
}

// run starts the process if it does not run with the Deployment's template yet.
func (r *resourceManagers) run(ctx context.Context, deployment *appsv1.Deployment, mounted *workload.Mounted) error {
	revision := utils.ComputeChecksum(deployment.Spec.Template)
	if r.runner.Running(deployment.Namespace, revision) {
		return nil
	}
	program, err := r.program(deployment, mounted)
	if err != nil {
		return fmt.Errorf("failed to turn Deployment %s into a process: %w", client.ObjectKeyFromObject(deployment), err)
	}
	if err := r.runner.Ensure(ctx, deployment.Namespace, revision, program); err != nil {
		return err
	}
	r.log.Info("gardener-resource-manager runs", "namespace", deployment.Namespace, "generation", deployment.Generation, "args", program.Args)
	return nil
}

// program is the Deployment's container as a program.
func (r *resourceManagers) program(deployment *appsv1.Deployment, mounted *workload.Mounted) (process.Program, error) {
	path, err := r.bin.Path(resourceManagerName)
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
	// In a pod it would find the seed by itself.
	kubeconfig, err := mounted.Kubeconfig()
	if err != nil {
		return process.Program{}, err
	}
	ports, err := r.portsOf(deployment.Namespace)
	if err != nil {
		return process.Program{}, err
	}
	if err := useOwnPorts(args, filepath.Join(mounted.Dir(), "config.yaml"), ports); err != nil {
		return process.Program{}, err
	}
	return process.Program{
		Name:  deployment.Namespace + "-" + resourceManagerName,
		Path:  path,
		Args:  args,
		Env:   append(env, "KUBECONFIG="+kubeconfig),
		Dir:   r.dir,
		Ready: workload.Ready(ports.health),
		OnExit: func(err error) {
			r.log.Error(err, "gardener-resource-manager crashed, it is started again soon", "namespace", deployment.Namespace)
			go func() { r.crashed <- event.GenericEvent{Object: deployment} }()
		},
	}, nil
}

// useOwnPorts replaces the configuration file in the arguments by a copy in which only the servers' addresses are different.
func useOwnPorts(args []string, copyPath string, p ports) error {
	for i, arg := range args {
		path, ok := strings.CutPrefix(arg, configFlag)
		if !ok {
			continue
		}
		original, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		config := map[string]any{}
		if err := yaml.Unmarshal(original, &config); err != nil {
			return fmt.Errorf("failed to parse %s: %w", path, err)
		}
		servers, ok := config["server"].(map[string]any)
		if !ok {
			return fmt.Errorf("%s configures no server", path)
		}
		for name, port := range map[string]int{"healthProbes": p.health, "metrics": p.metrics, "webhooks": p.webhooks} {
			server, ok := servers[name].(map[string]any)
			if !ok {
				return fmt.Errorf("%s configures no server.%s", path, name)
			}
			server["bindAddress"], server["port"] = workload.Loopback, port
		}
		adapted, err := yaml.Marshal(config)
		if err != nil {
			return err
		}
		args[i] = configFlag + copyPath
		return os.WriteFile(copyPath, adapted, 0o600)
	}
	return fmt.Errorf("there is no argument %s", configFlag)
}

func (r *resourceManagers) portsOf(namespace string) (ports, error) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	if p, ok := r.ports[namespace]; ok {
		return p, nil
	}
	var p ports
	for _, port := range []*int{&p.health, &p.metrics, &p.webhooks} {
		free, err := process.FreePort()
		if err != nil {
			return ports{}, err
		}
		*port = free
	}
	r.ports[namespace] = p
	return p, nil
}

// reportReady writes the status that the Deployment's controller would write when its pod is ready.
func (r *resourceManagers) reportReady(ctx context.Context, deployment *appsv1.Deployment) error {
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
	return r.client.Status().Patch(ctx, deployment, patch)
}
