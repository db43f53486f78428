// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// watchDeletions reconciles an Extension as soon as the deletion of its Shoot begins. gardenlet asks for nothing then: it first
// deletes what the shoot's users have in the shoot, then the nodes, and only then the Extension.
func watchDeletions(mgr manager.Manager) func(controller.Controller) error {
	toExtension := handler.TypedEnqueueRequestsFromMapFunc(func(_ context.Context, cluster *extensionsv1alpha1.Cluster) []reconcile.Request {
		return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: cluster.Name, Name: Type}}}
	})
	begins := predicate.TypedFuncs[*extensionsv1alpha1.Cluster]{
		CreateFunc: func(e event.TypedCreateEvent[*extensionsv1alpha1.Cluster]) bool { return isShootDeleted(e.Object) },
		UpdateFunc: func(e event.TypedUpdateEvent[*extensionsv1alpha1.Cluster]) bool {
			return isShootDeleted(e.ObjectNew) && !isShootDeleted(e.ObjectOld)
		},
		DeleteFunc:  func(event.TypedDeleteEvent[*extensionsv1alpha1.Cluster]) bool { return false },
		GenericFunc: func(event.TypedGenericEvent[*extensionsv1alpha1.Cluster]) bool { return false },
	}
	return func(c controller.Controller) error {
		return c.Watch(source.Kind(mgr.GetCache(), &extensionsv1alpha1.Cluster{}, toExtension, begins))
	}
}

func isShootDeleted(cluster *extensionsv1alpha1.Cluster) bool {
	shoot := &metav1.PartialObjectMetadata{}
	return json.Unmarshal(cluster.Spec.Shoot.Raw, shoot) == nil && shoot.DeletionTimestamp != nil
}
