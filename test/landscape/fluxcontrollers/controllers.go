// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package fluxcontrollers runs Flux's real controllers for a shoot whose nodes exist in the API only. As soon as a pod of source-controller or
// kustomize-controller runs in the shoot's namespace flux-system, as far as the API can tell, the program runs here as a process: with the
// pod's arguments, environment and volumes, and as its ServiceAccount, so that what was installed is what is tested. When the pod goes, the
// process goes.
package fluxcontrollers

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

const (
	// SourceController is the name of a controller that is run: of its Deployment, its ServiceAccount and its program.
	SourceController = "source-controller"
	// KustomizeController is the name of the other one.
	KustomizeController = "kustomize-controller"

	namespace = "flux-system"
	container = "manager"
	// appLabel is what Flux's manifests tell the pods of a controller by.
	appLabel = "app"
	// restartDelay is the time between a crash and the next start.
	restartDelay = time.Second
)

var names = []string{SourceController, KustomizeController}

// Options configure [Controllers]. All are required.
type Options struct {
	// Name is the name of the shoot in the landscape: logs are called after it.
	Name string
	// Shoot is a configuration for the shoot with the privileges of system:masters.
	Shoot *rest.Config
	// Bin has the programs.
	Bin process.Binaries
	// Dir keeps logs, and the files of the pods.
	Dir string
	// Log gets what is started and stopped.
	Log logr.Logger
	// Ports, if set, are where the controllers' servers listen. Ports that are empty are chosen, and may be used again when the shoot has slept:
	// as in a real cluster, artifacts are then where they were.
	Ports Ports
}

// Ports are those of the controllers, by name.
type Ports map[string]ports

// Controllers are the Flux controllers of one shoot.
//
// What differs from the pods: the servers (metrics, health, storage) listen on free ports of the loopback interface, the storage is
// advertised there, no events are sent to notification-controller, which nobody runs, and there is no leader election.
type Controllers struct {
	options Options
	client  client.Client
	host    *workload.Host
	runner  *workload.Runner
	ports   Ports
	pods    sync.Map // the pod of each controller that a process was started for last
	crashed chan event.GenericEvent
	cancel  context.CancelFunc
	done    chan error
}

// ports of a controller stay the same as long as the landscape lives.
type ports struct{ metrics, health, storage int }

// Start begins to watch the shoot and returns when the watch is established, whether or not Flux is installed. The context is the lifetime of
// the controllers.
func Start(ctx context.Context, options Options) (*Controllers, error) {
	config := rest.CopyConfig(options.Shoot)
	config.QPS, config.Burst = -1, 0
	mgr, err := manager.New(config, manager.Options{
		Logger:                  options.Log,
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: new(time.Duration(-1)), // a process that does not end is killed
		Cache:                   cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
	})
	if err != nil {
		return nil, fmt.Errorf("failed to connect to shoot %s: %w", options.Name, err)
	}
	uncached, err := client.New(config, client.Options{})
	if err != nil {
		return nil, fmt.Errorf("failed to connect to shoot %s: %w", options.Name, err)
	}
	c := &Controllers{
		options: options,
		client:  uncached,
		host:    &workload.Host{Client: uncached, Config: config, Dir: filepath.Join(options.Dir, options.Name, "pods")},
		runner:  &workload.Runner{},
		crashed: make(chan event.GenericEvent, 1),
		done:    make(chan error, 1),
	}
	if c.ports, err = options.Ports.complete(); err != nil {
		return nil, err
	}
	if err := c.addToManager(mgr); err != nil {
		return nil, err
	}
	ctx, c.cancel = context.WithCancel(ctx)
	go func() { c.done <- mgr.Start(ctx) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) {
		return nil, errors.Join(fmt.Errorf("failed to watch the pods of shoot %s", options.Name), c.Stop())
	}
	return c, nil
}

// complete chooses the ports if there are none.
func (chosen Ports) complete() (Ports, error) {
	if len(chosen) > 0 {
		return chosen, nil
	}
	if chosen == nil {
		chosen = Ports{}
	}
	for _, name := range names {
		var p ports
		for _, port := range []*int{&p.metrics, &p.health, &p.storage} {
			free, err := process.FreePort()
			if err != nil {
				return nil, err
			}
			*port = free
		}
		chosen[name] = p
	}
	return chosen, nil
}

func (c *Controllers) addToManager(mgr manager.Manager) error {
	byApp := func(_ context.Context, object client.Object) []reconcile.Request {
		name := object.GetLabels()[appLabel]
		if !slices.Contains(names, name) {
			return nil
		}
		return []reconcile.Request{{NamespacedName: client.ObjectKey{Namespace: namespace, Name: name}}}
	}
	restartLater := func(_ context.Context, crashed event.GenericEvent, queue workqueue.TypedRateLimitingInterface[reconcile.Request]) {
		queue.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Namespace: namespace, Name: crashed.Object.GetLabels()[appLabel]}}, restartDelay)
	}
	return builder.ControllerManagedBy(mgr).
		Named("flux-pods").
		WatchesRawSource(source.Kind[client.Object](mgr.GetCache(), &corev1.Pod{}, handler.EnqueueRequestsFromMapFunc(byApp))).
		WatchesRawSource(source.Channel(c.crashed, handler.Funcs{GenericFunc: restartLater})).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: len(names),
			SkipNameValidation:      new(true), // several shoots may live in the same process
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](restartDelay, 30*restartDelay),
		}).
		Complete(c)
}

// Reconcile makes the process of one controller what its pod is. The request names the controller.
func (c *Controllers) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	name := request.Name
	pods := &corev1.PodList{}
	if err := c.client.List(ctx, pods, client.InNamespace(namespace), client.MatchingLabels{appLabel: name}); err != nil {
		return reconcile.Result{}, err
	}
	pod := runningPod(pods.Items)
	if pod == nil {
		c.stop(name)
		return reconcile.Result{}, nil
	}
	mounted, err := c.host.Mount(ctx, workload.Pod{Namespace: pod.Namespace, Name: pod.Name, UID: string(pod.UID), Spec: pod.Spec}, container)
	if err != nil {
		return reconcile.Result{}, err
	}
	if err := c.run(ctx, name, pod, mounted); err != nil {
		return reconcile.Result{}, err
	}
	return reconcile.Result{RequeueAfter: mounted.RefreshAfter()}, nil
}

// runningPod returns the newest pod that runs.
func runningPod(pods []corev1.Pod) *corev1.Pod {
	var newest *corev1.Pod
	for i, pod := range pods {
		if pod.DeletionTimestamp != nil || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = &pods[i]
		}
	}
	return newest
}

// run starts the process if it does not run for this pod yet.
func (c *Controllers) run(ctx context.Context, name string, pod *corev1.Pod, mounted *workload.Mounted) error {
	if c.runner.Running(name, string(pod.UID)) {
		return nil
	}
	program, err := c.program(name, mounted)
	if err != nil {
		return fmt.Errorf("failed to turn pod %s into a process: %w", client.ObjectKeyFromObject(pod), err)
	}
	program.OnExit = func(err error) {
		c.options.Log.Error(err, "A Flux controller crashed, it is started again soon", "shoot", c.options.Name, "controller", name)
		go func() { c.crashed <- event.GenericEvent{Object: pod} }()
	}
	if err := c.runner.Ensure(ctx, name, string(pod.UID), program); err != nil {
		return err
	}
	if last, ok := c.pods.Swap(name, pod.Name); ok && last != pod.Name {
		if err := c.host.Forget(namespace, last.(string)); err != nil {
			return err
		}
	}
	c.options.Log.Info("A Flux controller runs", "shoot", c.options.Name, "pod", pod.Name, "args", program.Args)
	return nil
}

func (c *Controllers) stop(name string) {
	if err := c.runner.Stop(name); err != nil {
		c.options.Log.Error(err, "A Flux controller had crashed", "shoot", c.options.Name, "controller", name)
	}
}

// Stop ends the controllers, as if the shoot's nodes were gone, and returns when none runs any more. It may be called more than once.
func (c *Controllers) Stop() error {
	c.cancel()
	err := <-c.done
	c.done <- err // for a second call
	return errors.Join(err, c.runner.StopAll())
}

// Process returns the process of a controller, if it runs.
func (c *Controllers) Process(name string) (*process.Process, bool) {
	return c.runner.Process(name)
}
