// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package operator is a garden runtime cluster with those of gardener-operator's own controllers that bring an extension into the garden: the
// one of Extensions, those that tell whether it is required and healthy, and the one that keeps what it refers to. A gardener-resource-manager
// applies to the garden what they make, as there.
//
// What gardener-operator also does, and nothing here: it makes the garden itself (the garden is there, and a Garden says that it is), lets
// gardenlets be deployed, and installs extensions that the runtime cluster itself needs, which this one is not. An Extension never becomes healthy:
// its installation counts as being rolled out as long as there are no pods, in whose place the landscape has processes.
package operator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	componentbaseconfigv1alpha1 "k8s.io/component-base/config/v1alpha1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrlcluster "sigs.k8s.io/controller-runtime/pkg/cluster"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	"github.com/gardener/gardener/pkg/api/indexer"
	operatorconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/operator/v1alpha1"
	resourcemanagerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/resourcemanager/v1alpha1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	clientmapbuilder "github.com/gardener/gardener/pkg/client/kubernetes/clientmap/builder"
	operatorclient "github.com/gardener/gardener/pkg/operator/client"
	"github.com/gardener/gardener/pkg/operator/controller/extension"
	"github.com/gardener/gardener/pkg/operator/controller/extension/care"
	"github.com/gardener/gardener/pkg/operator/controller/extension/reference"
	requiredvirtual "github.com/gardener/gardener/pkg/operator/controller/extension/required/virtual"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Options configure a garden runtime cluster.
type Options struct {
	// Lifetime is that of the controllers.
	Lifetime context.Context //nolint:containedctx // see above
	// Garden is the garden, and Etcd where the runtime cluster stores everything.
	Garden *garden.Garden
	Etcd   *cluster.Etcd
	// Definitions are the manifests of the custom resources of operator.gardener.cloud and of ManagedResources.
	Definitions [][]byte
	// Bin has the programs.
	Bin process.Binaries
	// Log gets the progress.
	Log logr.Logger
}

// Operator is a running garden runtime cluster.
type Operator struct {
	// Cluster is its Kubernetes control plane.
	*cluster.Cluster
	// Client has all rights in it.
	Client client.Client

	resourceManager *process.Process
	cancel          context.CancelFunc
	done            chan error
}

// Start starts the runtime cluster and the controllers. If that fails, nothing is left running.
func Start(ctx context.Context, options Options) (_ *Operator, err error) {
	o := &Operator{}
	if o.Cluster, err = cluster.Start(ctx, "runtime", options.Etcd); err != nil {
		return nil, fmt.Errorf("failed to start the garden runtime cluster: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, o.Stop())
		}
	}()
	if err := o.prepare(ctx, options); err != nil {
		return nil, err
	}
	if o.resourceManager, err = (gardenlet.ResourceManager{
		Name:      "virtual-garden-gardener-resource-manager",
		Class:     resourcemanagerconfigv1alpha1.DefaultResourceClass,
		Source:    o.AdminConfig,
		Namespace: v1beta1constants.GardenNamespace,
		Target:    options.Garden.AdminConfig,
		Bin:       options.Bin,
		Dir:       options.Etcd.Dir(),
		OnExit:    func(err error) { options.Log.Error(err, "The garden's gardener-resource-manager crashed") },
	}).Start(ctx); err != nil {
		return nil, fmt.Errorf("failed to start the garden's gardener-resource-manager: %w", err)
	}
	return o, o.startControllers(ctx, options)
}

// Stop ends everything.
func (o *Operator) Stop() error {
	var err error
	if o.cancel != nil {
		o.cancel()
		err = <-o.done
		o.cancel = nil
	}
	if o.resourceManager != nil {
		err = errors.Join(err, o.resourceManager.Stop())
	}
	return errors.Join(err, o.Cluster.Stop())
}

// prepare makes what is there when gardener-operator has made the garden.
func (o *Operator) prepare(ctx context.Context, options Options) error {
	scheme := runtime.NewScheme()
	if err := operatorclient.AddRuntimeSchemeToScheme(scheme); err != nil {
		return err
	}
	for _, manifest := range options.Definitions {
		if err := o.ApplyYAML(ctx, manifest); err != nil {
			return fmt.Errorf("failed to define gardener-operator's resources: %w", err)
		}
	}
	var err error
	if o.Client, err = client.New(o.AdminConfig, client.Options{Scheme: scheme}); err != nil {
		return err
	}
	access, err := gardenAccess(ctx, options.Garden)
	if err != nil {
		return err
	}
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1beta1constants.GardenNamespace}},
		&corev1.Secret{
			ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: v1beta1constants.SecretNameGardenerInternal},
			Data:       map[string][]byte{kubernetes.KubeConfig: access},
		},
	} {
		if err := client.IgnoreAlreadyExists(o.Client.Create(ctx, object)); err != nil {
			return fmt.Errorf("failed to create %T %s in the garden runtime cluster: %w", object, object.GetName(), err)
		}
	}
	return o.createGarden(ctx)
}

// gardenAccess is the kubeconfig with which gardener-operator looks into the garden.
func gardenAccess(ctx context.Context, g *garden.Garden) ([]byte, error) {
	const name = "gardener-operator"
	c, err := client.New(g.AdminConfig, client.Options{})
	if err != nil {
		return nil, err
	}
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: metav1.NamespaceSystem, Name: name}}
	for _, object := range []client.Object{account, &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: account.Namespace, Name: account.Name}},
	}} {
		if err := client.IgnoreAlreadyExists(c.Create(ctx, object)); err != nil {
			return nil, fmt.Errorf("failed to create the access of gardener-operator to the garden: %w", err)
		}
	}
	return g.ServiceAccountKubeconfig(ctx, account.Namespace, account.Name)
}

// startControllers runs gardener-operator's controllers of Extensions.
func (o *Operator) startControllers(ctx context.Context, options Options) error {
	mgr, err := manager.New(unlimited(o.AdminConfig), manager.Options{
		Scheme:                  o.Client.Scheme(),
		Logger:                  options.Log,
		Controller:              config.Controller{SkipNameValidation: new(true)},
		Metrics:                 metricsserver.Options{BindAddress: "0"},
		HealthProbeBindAddress:  "0",
		GracefulShutdownTimeout: new(time.Duration(-1)), // a process that does not end is killed
	})
	if err != nil {
		return fmt.Errorf("failed to connect to the garden runtime cluster: %w", err)
	}
	virtual, err := newVirtualCluster(ctx, options)
	if err != nil {
		return err
	}
	if err := errors.Join(mgr.Add(virtual), addControllers(mgr, virtual, options.Log)); err != nil {
		return fmt.Errorf("failed to add gardener-operator's controllers: %w", err)
	}
	lifetime, cancel := context.WithCancel(options.Lifetime)
	o.cancel = cancel
	o.done = make(chan error, 1)
	go func() { o.done <- mgr.Start(lifetime) }()
	if !mgr.GetCache().WaitForCacheSync(ctx) || !virtual.GetCache().WaitForCacheSync(ctx) {
		return errors.New("gardener-operator could not read the garden and its runtime cluster")
	}
	return nil
}

// newVirtualCluster connects to the garden as pkg/operator/controller/virtual/cluster of Gardener does.
func newVirtualCluster(ctx context.Context, options Options) (ctrlcluster.Cluster, error) {
	virtual, err := ctrlcluster.New(unlimited(options.Garden.AdminConfig), func(o *ctrlcluster.Options) {
		o.Scheme, o.Logger = operatorclient.VirtualScheme, options.Log
	})
	if err != nil {
		return nil, fmt.Errorf("failed to connect to the garden: %w", err)
	}
	return virtual, indexer.AddControllerInstallationRegistrationRefName(ctx, virtual.GetFieldIndexer())
}

func addControllers(mgr manager.Manager, virtual ctrlcluster.Cluster, log logr.Logger) error {
	cfg := &operatorconfigv1alpha1.OperatorConfiguration{}
	operatorconfigv1alpha1.SetObjectDefaults_OperatorConfiguration(cfg)
	clients, err := clientmapbuilder.NewGardenClientMapBuilder().
		WithRuntimeClient(mgr.GetClient()).
		WithClientConnectionConfig(&componentbaseconfigv1alpha1.ClientConnectionConfiguration{QPS: 100, Burst: 130}).
		Build(log)
	if err != nil {
		return err
	}
	return errors.Join(
		mgr.Add(clients),
		extension.AddToManager(mgr, cfg, clients),
		reference.AddToManager(mgr, cfg.Controllers.ExtensionReference),
		(&requiredvirtual.Reconciler{Config: cfg.Controllers.ExtensionRequiredVirtual}).AddToManager(mgr, virtual),
		(&care.Reconciler{Config: *cfg}).AddToManager(mgr, virtual),
	)
}

// unlimited lifts the client-side rate limit: the clusters are this machine's own.
func unlimited(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = -1, 0
	return config
}
