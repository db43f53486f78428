// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/priorityqueue"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"
)

// projectField is the index of Clusters by the namespace of their Shoot in the garden.
const projectField = "spec.shoot.metadata.namespace"

type requestQueue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// indexClusters makes the manager's cache find the Clusters of a project.
func indexClusters(ctx context.Context, mgr manager.Manager) error {
	if err := mgr.GetFieldIndexer().IndexField(ctx, &extensionsv1alpha1.Cluster{}, projectField, projectOfCluster); err != nil {
		return fmt.Errorf("failed to index Clusters by the namespace of their Shoot: %w", err)
	}
	return nil
}

func projectOfCluster(object client.Object) []string {
	cluster, ok := object.(*extensionsv1alpha1.Cluster)
	if !ok {
		return nil
	}
	shoot := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(cluster.Spec.Shoot.Raw, shoot); err != nil {
		return nil
	}
	return []string{shoot.Namespace}
}

// projectsOf returns the namespaces of all projects that have a shoot on the seed.
func projectsOf(ctx context.Context, seed client.Reader) ([]string, error) {
	clusters := &extensionsv1alpha1.ClusterList{}
	if err := seed.List(ctx, clusters); err != nil {
		return nil, fmt.Errorf("failed to list the Clusters of the seed: %w", err)
	}
	projects := sets.New[string]()
	for i := range clusters.Items {
		projects.Insert(projectOfCluster(&clusters.Items[i])...)
	}
	projects.Delete("")
	return sets.List(projects), nil
}

// chooseShoots returns requests for those shoots of a project on the seed that have the extension and are chosen. A Shoot that can't be read is
// left out. The reader caches, and has the index projectField.
func chooseShoots(ctx context.Context, seed client.Reader, project string,
	choose func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) (bool, error)) ([]reconcile.Request, error) {
	clusters := &extensionsv1alpha1.ClusterList{}
	if err := seed.List(ctx, clusters, client.MatchingFields{projectField: project}); err != nil {
		return nil, fmt.Errorf("failed to list the Clusters of the seed: %w", err)
	}
	var requests []reconcile.Request
	for _, cluster := range clusters.Items {
		ex := &extensionsv1alpha1.Extension{}
		key := client.ObjectKey{Namespace: cluster.Name, Name: Type}
		if err := seed.Get(ctx, key, ex); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("failed to read Extension %s of the seed: %w", key, err)
		} else if err != nil {
			continue
		}
		shoot, err := extensions.ShootFromCluster(&cluster)
		if err != nil {
			continue
		}
		if chosen, err := choose(ex, shoot); err != nil {
			return nil, err
		} else if chosen {
			requests = append(requests, reconcile.Request{NamespacedName: key})
		}
	}
	return requests, nil
}

// enqueueBehind enqueues the shoots of a project behind those that gardenlet asks for: a change in a project with many shoots does not hold up
// the others.
func enqueueBehind(queue requestQueue, requests []reconcile.Request) {
	prioritized, ok := queue.(priorityqueue.PriorityQueue[reconcile.Request])
	if !ok {
		for _, request := range requests {
			queue.Add(request)
		}
		return
	}
	prioritized.AddWithOpts(priorityqueue.AddOpts{Priority: new(handler.LowPriority)}, requests...)
}
