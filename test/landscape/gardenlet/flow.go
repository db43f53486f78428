// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	clientretry "k8s.io/client-go/util/retry"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component/shared"
	"github.com/gardener/gardener/pkg/utils/flow"
	"github.com/gardener/gardener/pkg/utils/gardener/shootstate"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"
	"github.com/gardener/gardener/pkg/utils/retry"
)

const (
	// taskTimeout is for tasks that gardenlet repeats within a flow.
	taskTimeout  = 30 * time.Second
	readyTimeout = 2 * time.Minute
	// apiServerDeleted is an annotation of the shoot's namespace. gardenlet sees it by the missing Deployment of kube-apiserver.
	apiServerDeleted = "landscape/kube-apiserver-deleted"
)

// tasks collects the tasks of a flow that run one after the other. (gardenlet runs what it can in parallel.)
type tasks struct {
	graph         *flow.Graph
	last          flow.TaskIDs
	retryInterval time.Duration
}

func (o *operation) newTasks(name string) *tasks {
	return &tasks{graph: flow.NewGraph(name), last: flow.NewTaskIDs(), retryInterval: o.options.RetryInterval}
}

func (t *tasks) add(name string, fn flow.TaskFn) {
	t.last = flow.NewTaskIDs(t.graph.Add(flow.Task{Name: name, Fn: fn, Dependencies: t.last}))
}

// addRepeated is for tasks that only talk to an API server: they are repeated for a short time.
func (t *tasks) addRepeated(name string, fn flow.TaskFn) {
	t.add(name, fn.RetryUntilTimeout(t.retryInterval, taskTimeout))
}

// reconcile is gardenlet's flow for creating and reconciling a Shoot, and for restoring it on the seed to which it has been migrated
// (reconciler_reconcile.go).
func (o *operation) reconcile(ctx context.Context) error {
	if o.Shoot.HibernationEnabled {
		return o.hibernate(ctx)
	}
	t := o.newTasks("Shoot cluster reconciliation")
	if o.Shoot.IsRestorePhase() {
		t = o.newTasks("Shoot cluster restoration")
		t.addRepeated("Reading ShootState of garden cluster", o.readShootState)
	}
	t.addRepeated("Deploying Shoot namespace in Seed", o.DeployControlPlaneNamespace)
	t.addRepeated("Deploying extension resources before kube-apiserver", o.DeployExtensionsBeforeKubeAPIServer)
	t.add("Waiting until extension resources handled before kube-apiserver are ready", o.extensions.WaitBeforeKubeAPIServer)
	o.addControlPlane(t)
	t.addRepeated("Deploying extension resources after kube-apiserver", o.DeployExtensionsAfterKubeAPIServer)
	t.add("Waiting until extension resources handled after kube-apiserver are ready", o.extensions.WaitAfterKubeAPIServer)
	if !o.Shoot.IsWorkerless {
		t.add("Configuring worker pools", o.hook(o.options.DeployWorkers))
		t.addRepeated("Deploying extension resources after workers", o.DeployExtensionsAfterWorker)
		t.add("Waiting until extension resources handled after workers are ready", o.extensions.WaitAfterWorker)
	}
	t.addRepeated("Deleting stale extension resources", o.extensions.DeleteStaleResources)
	t.add("Waiting until stale extension resources are deleted", o.extensions.WaitCleanupStaleResources)
	if err := o.run(ctx, t); err != nil || !o.Shoot.IsRestorePhase() {
		return err
	}
	return shootstate.Delete(ctx, o.GardenClient, o.Shoot.GetInfo())
}

// addControlPlane adds the tasks that flows need before they can work in the shoot.
func (o *operation) addControlPlane(t *tasks) {
	o.addResourceManager(t)
	t.addRepeated("Deploying Gardener shoot access resources", func(ctx context.Context) error { return o.gardenerAccess.Deploy(ctx) })
	t.add("Initializing connection to Shoot", o.initializeShootClient)
}

// addResourceManager adds the tasks that flows need before they can work with ManagedResources.
func (o *operation) addResourceManager(t *tasks) {
	t.add("Deploying Kubernetes API server", o.deployKubeAPIServer)
	t.addRepeated("Initializing secrets management", o.initializeSecrets)
	t.add("Deploying gardener-resource-manager", o.deployResourceManager)
	t.add("Waiting until gardener-resource-manager reports readiness", o.waitForResourceManager)
}

// progressReportPeriod is how often a Shoot is told of its progress (gardenlet: as its operator configures it).
const progressReportPeriod = time.Second

// run executes the tasks and reports their progress to the Shoot.
func (o *operation) run(ctx context.Context, t *tasks) error {
	return t.graph.Compile().Run(ctx, flow.Opts{
		Log:              o.Logger,
		ProgressReporter: flow.NewDelayingProgressReporter(clock.RealClock{}, o.reportProgress, progressReportPeriod),
		ErrorCleaner:     o.CleanShootTaskError,
	})
}

// reportProgress is botanist's ReportShootProgress, with a patch that custom resources understand too.
func (o *operation) reportProgress(ctx context.Context, stats *flow.Stats) {
	if err := o.Shoot.UpdateInfoStatus(ctx, o.GardenClient, false, false, func(shoot *gardencorev1beta1.Shoot) error {
		last := shoot.Status.LastOperation
		description := flow.MakeDescription(stats)
		if description == "" {
			description = last.Description
		}
		setLastOperation(shoot, last.Type, last.State, stats.ProgressPercent(), description)
		return nil
	}); err != nil {
		o.Logger.Error(err, "Could not report shoot progress")
	}
}

func (o *operation) hook(hook func(context.Context, *gardencorev1beta1.Shoot) error) flow.TaskFn {
	return func(ctx context.Context) error {
		if hook == nil {
			return nil
		}
		return hook(ctx, o.Shoot.GetInfo())
	}
}

func (o *operation) deployKubeAPIServer(ctx context.Context) error {
	var err error
	if o.cluster, err = o.options.ShootCluster(ctx, o.Shoot.GetInfo()); err != nil {
		return fmt.Errorf("failed to get the control plane of the shoot: %w", err)
	}
	return nil
}

// deployResourceManager deploys gardener-resource-manager with all that belongs to it: in a new shoot first with a client certificate, with
// which it makes itself a ServiceAccount.
func (o *operation) deployResourceManager(ctx context.Context) error {
	// The resource manager writes to the same secret.
	return clientretry.RetryOnConflict(clientretry.DefaultBackoff, func() error {
		return shared.DeployGardenerResourceManager(ctx, o.SeedClientSet.Client(), o.Clock, o.SecretsManager, o.resourceManager,
			o.Shoot.ControlPlaneNamespace,
			func(context.Context) (int32, error) { return 1, nil },
			func() string { return strings.TrimPrefix(o.cluster.AdminConfig.Host, "https://") },
			false)
	})
}

func (o *operation) waitForResourceManager(ctx context.Context) error {
	return retry.UntilTimeout(ctx, o.options.WaitInterval, readyTimeout, func(ctx context.Context) (bool, error) {
		deployment := &appsv1.Deployment{}
		key := client.ObjectKey{Namespace: o.Shoot.ControlPlaneNamespace, Name: v1beta1constants.DeploymentNameGardenerResourceManager}
		if err := o.SeedClientSet.Client().Get(ctx, key, deployment); err != nil {
			return retry.SevereError(err)
		}
		if err := health.CheckDeployment(deployment); err != nil {
			return retry.MinorError(fmt.Errorf("Deployment %s: %w", key, err))
		}
		return retry.Ok()
	})
}

// initializeShootClient waits until the resource manager has put a token into the kubeconfig for Gardener, and connects with it.
func (o *operation) initializeShootClient(ctx context.Context) error {
	return retry.UntilTimeout(ctx, o.options.WaitInterval, readyTimeout, func(ctx context.Context) (bool, error) {
		clientSet, err := kubernetes.NewClientFromSecret(ctx, o.SeedClientSet.Client(), o.Shoot.ControlPlaneNamespace, v1beta1constants.SecretNameGardenerInternal,
			kubernetes.WithClientOptions(client.Options{Scheme: kubernetes.ShootScheme}), kubernetes.WithDisabledCachedClient())
		if err == nil {
			err = clientSet.RESTClient().Get().AbsPath("/api/v1/namespaces").Do(ctx).Error()
		}
		if err != nil {
			return retry.MinorError(fmt.Errorf("Secret %s gives no access to the shoot yet: %w", v1beta1constants.SecretNameGardenerInternal, err))
		}
		o.ShootClientSet = clientSet
		return retry.Ok()
	})
}

// delete is gardenlet's flow for deleting a Shoot (reconciler_delete.go).
func (o *operation) delete(ctx context.Context) error {
	works, err := o.hasControlPlane(ctx)
	if err != nil {
		return err
	}
	t := o.newTasks("Shoot cluster deletion")
	if works {
		t.addRepeated("Deploying Shoot namespace in Seed", o.DeployControlPlaneNamespace)
		o.addControlPlane(t)
		t.add("Cleaning up webhooks", flow.TaskFn(o.CleanWebhooks).Timeout(10*time.Minute))
		t.add("Cleaning extended API groups", flow.TaskFn(o.CleanExtendedAPIs).Timeout(10*time.Minute))
		t.add("Cleaning Kubernetes resources", flow.TaskFn(o.CleanKubernetesResources).Timeout(10*time.Minute))
	}
	if !o.Shoot.IsWorkerless {
		t.add("Destroying shoot workers", o.hook(o.options.DestroyWorkers))
	}
	t.addRepeated("Deleting managed resources", o.DeleteManagedResources)
	t.add("Waiting until managed resources have been deleted", flow.TaskFn(o.WaitUntilManagedResourcesDeleted).Timeout(10*time.Minute))
	t.addRepeated("Deleting extension resources before kube-apiserver", o.extensions.DestroyBeforeKubeAPIServer)
	t.add("Waiting until extension resources that should be handled before kube-apiserver have been deleted", o.extensions.WaitCleanupBeforeKubeAPIServer)
	t.addRepeated("Deleting stale extension resources", o.extensions.DeleteStaleResources)
	t.add("Waiting until all stale extension resources have been deleted", o.extensions.WaitCleanupStaleResources)
	t.addRepeated("Waiting until shoot managed resources have been deleted", o.WaitUntilShootManagedResourcesDeleted)
	t.addRepeated("Deleting Kubernetes API server", o.deleteKubeAPIServer)
	t.addRepeated("Deleting extension resources after kube-apiserver", o.extensions.DestroyAfterKubeAPIServer)
	t.add("Waiting until extension resources that should be handled after kube-apiserver have been deleted", o.extensions.WaitCleanupAfterKubeAPIServer)
	t.add("Destroying gardener-resource-manager", o.destroyResourceManager)
	t.addRepeated("Deleting shoot namespace in Seed", o.DeleteSeedNamespace)
	t.add("Waiting until shoot namespace in Seed has been deleted", o.WaitUntilSeedNamespaceDeleted)
	return o.run(ctx, t)
}

// hasControlPlane tells whether a flow can still work with the shoot.
func (o *operation) hasControlPlane(ctx context.Context) (bool, error) {
	namespace := o.SeedNamespaceObject
	err := o.SeedClientSet.Client().Get(ctx, client.ObjectKey{Name: o.Shoot.ControlPlaneNamespace}, namespace)
	return err == nil && namespace.DeletionTimestamp == nil && namespace.Annotations[apiServerDeleted] == "", client.IgnoreNotFound(err)
}

func (o *operation) deleteKubeAPIServer(ctx context.Context) error {
	if err := o.hook(o.options.DeleteShootCluster)(ctx); err != nil {
		return err
	}
	return o.noteAPIServerDeleted(ctx)
}

// noteAPIServerDeleted notes that the API server is gone, so that a repeated operation does not start a new one to clean it up.
func (o *operation) noteAPIServerDeleted(ctx context.Context) error {
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: o.Shoot.ControlPlaneNamespace}}
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"`+apiServerDeleted+`":"true"}}}`))
	return client.IgnoreNotFound(o.SeedClientSet.Client().Patch(ctx, namespace, patch))
}

func (o *operation) destroyResourceManager(ctx context.Context) error {
	if o.resourceManager == nil {
		return nil // goes with the namespace
	}
	return o.resourceManager.Destroy(ctx)
}
