// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package report tells people who can't look into the seed how Flux gets on in their shoots: in ConfigMap flux-status of the
// project's namespace in the garden, and by events about the Shoot.
//
// What it reports is the difference between what the Extensions say and what has been reported. The latter is in the ConfigMap, and,
// for notices, in the Extension itself, so that a restart neither loses nor repeats anything. It looks neither into shoots nor into Git
// repositories, and what it fails to report keeps nothing else from working.
package report

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	predicateutils "github.com/gardener/gardener/pkg/controllerutils/predicate"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

const (
	name = "shoot-flux-report"

	// projectField is the index of Clusters by the namespace of their Shoot in the garden. (Another controller has one too.)
	projectField = "report.project"

	// workers are many because they do nothing but wait for the garden.
	workers = 10
	// minPace is how long changes of a project's shoots are gathered at least, and pacePerShoot how much longer for each of them.
	minPace      = time.Second
	pacePerShoot = 10 * time.Millisecond
	// firstRetryDelay and maxRetryDelay are for a garden that can't be reached.
	firstRetryDelay = time.Second
	maxRetryDelay   = 5 * time.Minute
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// AddArgs are what the controller is added to a manager with.
type AddArgs struct {
	// Garden is the way into the garden.
	Garden *garden.Access
	// Type is the type of the Extensions, which is also their name.
	Type string
	// ExtensionClasses are the classes of Extensions that the controller is responsible for.
	ExtensionClasses []extensionsv1alpha1.ExtensionClass
}

// AddToManager adds the controller. The manager need not have started.
func AddToManager(ctx context.Context, mgr manager.Manager, args AddArgs) error {
	identity, err := SeedIdentity(ctx, mgr.GetAPIReader())
	if err != nil {
		return err
	}
	if err := mgr.GetFieldIndexer().IndexField(ctx, &extensionsv1alpha1.Cluster{}, projectField, projectsOf); err != nil {
		return fmt.Errorf("failed to index Clusters by the namespace of their Shoot: %w", err)
	}
	r := newReporter(mgr.GetClient(), args, identity, mgr.GetLogger().WithName(name))
	err = builder.ControllerManagedBy(mgr).
		Named(name).
		Watches(&extensionsv1alpha1.Extension{}, r.enqueueProject(r.projectOf),
			builder.WithPredicates(predicateutils.AddTypeAndClassPredicates(nil, args.ExtensionClasses, args.Type)...)).
		Watches(&extensionsv1alpha1.Cluster{}, r.enqueueProject(func(_ context.Context, cluster client.Object) string { return projectOfCluster(cluster) }),
			builder.WithPredicates(comesOrGoes())).
		WatchesRawSource(&reportedProjects{reporter: r}).
		WithOptions(controller.Options{
			MaxConcurrentReconciles: workers,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetryDelay, maxRetryDelay),
		}).
		Complete(r)
	if err != nil {
		return fmt.Errorf("failed to add controller %s: %w", name, err)
	}
	return nil
}

// comesOrGoes is for Clusters, of whose changes nothing is reported. A Cluster can come after its Extension, and go before it.
func comesOrGoes() predicate.Predicate {
	return predicate.Funcs{UpdateFunc: func(event.UpdateEvent) bool { return false }}
}

// enqueueProject enqueues the project of an object, by the name of the project's namespace, after the pace of the project.
func (r *Reporter) enqueueProject(of func(context.Context, client.Object) string) handler.EventHandler {
	enqueue := func(ctx context.Context, object client.Object, q queue) {
		if project := of(ctx, object); project != "" {
			q.AddAfter(requestFor(project), r.pace(project))
		}
	}
	return handler.Funcs{
		CreateFunc: func(ctx context.Context, e event.CreateEvent, q queue) { enqueue(ctx, e.Object, q) },
		UpdateFunc: func(ctx context.Context, e event.UpdateEvent, q queue) { enqueue(ctx, e.ObjectNew, q) },
		DeleteFunc: func(ctx context.Context, e event.DeleteEvent, q queue) { enqueue(ctx, e.Object, q) },
	}
}

func requestFor(project string) reconcile.Request {
	return reconcile.Request{NamespacedName: client.ObjectKey{Name: project}}
}

// projectOf returns the project of an Extension, or "" if its Cluster is not there: as soon as that comes or goes, the project has its turn.
func (r *Reporter) projectOf(ctx context.Context, ex client.Object) string {
	cluster := &extensionsv1alpha1.Cluster{}
	if err := r.seed.Get(ctx, client.ObjectKey{Name: ex.GetNamespace()}, cluster); err != nil {
		return ""
	}
	return projectOfCluster(cluster)
}

func projectsOf(cluster client.Object) []string {
	if project := projectOfCluster(cluster); project != "" {
		return []string{project}
	}
	return nil
}

func projectOfCluster(object client.Object) string {
	cluster, ok := object.(*extensionsv1alpha1.Cluster)
	if !ok {
		return ""
	}
	if shoot := shootOf(cluster); shoot != nil {
		return shoot.Namespace
	}
	return ""
}
