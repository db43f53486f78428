// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package status keeps ConfigMap flux-status of each project with shoots on the seed, and makes events about the Shoots in the
// garden of what changes. It follows what the Extensions say, and looks neither into shoots nor into Git repositories.
//
// What it fails to tell keeps nothing else from working.
package status

import (
	"context"
	"fmt"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/status"
)

const (
	name = "shoot-flux-status"

	// projectField is the index of Clusters by the namespace of their Shoot in the garden. (Another controller has one too.)
	projectField = "flux-status.project"

	// workers are many because they do nothing but wait for the garden.
	workers = 10
	// minPace is how long changes of a project's shoots are gathered at least, and pacePerShoot how much longer for each of them.
	minPace      = time.Second
	pacePerShoot = 10 * time.Millisecond
	// firstRetryDelay and maxRetryDelay are for a garden that can't be reached.
	firstRetryDelay = time.Second
	maxRetryDelay   = 5 * time.Minute
)

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// Garden is the way into the garden.
	Garden *garden.Access
	// Type is the type of the Extensions, which is also their name.
	Type string
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
}

// AddToManager adds the controller, and returns what tells about the shoots of the seed. The manager need not have started.
func AddToManager(ctx context.Context, mgr manager.Manager, args AddArgs) (*Teller, error) {
	identity, err := status.SeedIdentity(ctx, mgr.GetAPIReader())
	if err != nil {
		return nil, err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &extensionsv1alpha1.Cluster{}, projectField, projectOfCluster); err != nil {
		return nil, fmt.Errorf("failed to index Clusters by the namespace of their Shoot: %w", err)
	}
	t := newTeller(mgr.GetClient(), args, identity, mgr.GetLogger().WithName(name))
	if err := mgr.Add(t); err != nil {
		return nil, fmt.Errorf("failed to add what tells about events: %w", err)
	}
	err = builder.ControllerManagedBy(mgr).
		Named(name).
		Watches(&extensionsv1alpha1.Extension{}, t.projects.handler(t.pace), builder.WithPredicates(predicateutils.AddTypeAndClassPredicates(nil, args.ExtensionClasses, args.Type)...)).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetryDelay, maxRetryDelay),
		}).
		Complete(t)
	if err != nil {
		return nil, fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return t, nil
}

func projectOfCluster(object client.Object) []string {
	cluster, ok := object.(*extensionsv1alpha1.Cluster)
	if !ok {
		return nil
	}
	if shoot := shootOf(cluster); shoot != nil {
		return []string{shoot.Namespace}
	}
	return nil
}

// projects knows to which projects the namespaces of the seed belong, also after their Clusters have gone.
type projects struct {
	seed client.Reader

	mutex sync.Mutex
	known map[string]string
}

// handler enqueues the project of an Extension, by the name of the project's namespace, after the pace of the project.
func (p *projects) handler(pace func(project string) time.Duration) handler.EventHandler {
	type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]
	enqueue := func(ctx context.Context, object client.Object, q queue) {
		if project := p.of(ctx, object.GetNamespace()); project != "" {
			q.AddAfter(reconcile.Request{NamespacedName: client.ObjectKey{Name: project}}, pace(project))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) {
			enqueue(ctx, e.Object, q)
			p.forget(e.Object.GetNamespace())
		},
	}
}

// of returns "" if the project is not known. An Extension without Cluster is none that anybody works on.
func (p *projects) of(ctx context.Context, namespace string) string {
	cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: namespace}}
	err := p.seed.Get(ctx, client.ObjectKeyFromObject(cluster), cluster)
	p.mutex.Lock()
	defer p.mutex.Unlock()
	if err == nil {
		if shoot := shootOf(cluster); shoot != nil {
			p.known[namespace] = shoot.Namespace
		}
	}
	return p.known[namespace]
}

func (p *projects) forget(namespace string) {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	delete(p.known, namespace)
}
