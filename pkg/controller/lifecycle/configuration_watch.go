// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// configurationWatch reconciles the shoots of a project as soon as its configuration in the garden is another one than the
// one that they have.
//
// What a shoot has is told by a label of its ManagedResource. So neither a restart of the extension nor a new connection
// to the garden reconciles anything by itself, and a change that happened meanwhile is not missed.
type configurationWatch struct {
	// seed caches, and has the index projectField.
	seed client.Reader
	// defaults are those of the landscape, or nil.
	defaults *project.Defaults
	// missed are the shoots that are to be reconciled later.
	missed *missedChanges
	// configured are the namespaces of projects that have been seen to have a ConfigMap.
	configured sync.Map
	log        logr.Logger
}

// watchConfigurations adds the watch to a controller.
func watchConfigurations(mgr manager.Manager, actuator *Actuator, missed *missedChanges) func(controller.Controller) error {
	w := &configurationWatch{seed: mgr.GetClient(), defaults: actuator.Defaults, missed: missed, log: mgr.GetLogger().WithName("configuration-watch")}
	return func(c controller.Controller) error {
		return c.Watch(source.Func(func(ctx context.Context, queue requestQueue) error {
			watch := garden.ConfigMapWatch{
				Access: actuator.Garden, Name: project.ConfigMapName, Log: w.log,
				Seen: func(ctx context.Context, _, configMap *corev1.ConfigMap) {
					w.configured.Store(configMap.Namespace, nil)
					w.enqueue(ctx, queue, configMap.Namespace, configMap)
				},
				Listed: func(ctx context.Context) { w.enqueueWithoutConfigMap(ctx, queue) },
			}
			go watch.Run(ctx)
			return nil
		}))
	}
}

// enqueueWithoutConfigMap lets shoots of projects that have no ConfigMap get the defaults of the landscape: nothing tells that the operator has
// changed them but a new start. All ConfigMaps must have been seen.
func (w *configurationWatch) enqueueWithoutConfigMap(ctx context.Context, queue requestQueue) {
	if w.defaults == nil {
		return
	}
	projects, err := projectsOf(ctx, w.seed)
	if err != nil {
		w.log.Error(err, "Failed to find the projects of the seed")
		return
	}
	for _, namespace := range projects {
		if _, has := w.configured.Load(namespace); !has {
			w.enqueue(ctx, queue, namespace, nil)
		}
	}
}

func (w *configurationWatch) enqueue(ctx context.Context, queue requestQueue, namespace string, configMap *corev1.ConfigMap) {
	log := w.log.WithValues("project", namespace)
	requests, err := w.outdated(ctx, namespace, configMap)
	if err != nil {
		log.Error(err, "Failed to find the shoots of a project")
		return
	}
	enqueueBehind(queue, requests)
	if len(requests) > 0 {
		log.Info("The configuration of the project has changed", "shoots", len(requests))
	}
}

// outdated returns the Extensions of the project that are to be reconciled because of its ConfigMap: of shoots that are to have something
// else than they have. There may be no ConfigMap. It notes those that can't be reconciled now.
func (w *configurationWatch) outdated(ctx context.Context, namespace string, configMap *corev1.ConfigMap) ([]reconcile.Request, error) {
	configuration := project.Read(w.defaults, configMap)

	return chooseShoots(ctx, w.seed, namespace, func(ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) (bool, error) {
		key := client.ObjectKeyFromObject(ex)
		digests := digestsOf(configuration, ex, shoot)
		current, err := isCurrent(ctx, w.seed, ex, digests)
		switch {
		case err != nil:
			return false, err
		case current:
			w.missed.forget(key)
			return false, nil
		case !mayReconcile(ex, shoot):
			w.missed.add(key, digests)
			return false, nil
		}
		w.missed.forget(key)
		return true, nil
	})
}

// digestsOf are those that a shoot may have which has what it is to have: of all that has been written for it, or, as a former release
// noted it, of all but what its owner has written. A shoot with a configuration that is not valid has none.
func digestsOf(configuration *project.Configuration, ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) []string {
	if shoot == nil {
		return nil
	}
	effective, err := configuration.Effective(projectShoot(shoot, ex))
	if err != nil {
		return nil
	}
	return []string{effective.Digest, effective.InheritedDigest}
}

// isCurrent tells whether the Extension was last reconciled, with success and without a problem, for the configuration with one of these digests.
func isCurrent(ctx context.Context, seed client.Reader, ex *extensionsv1alpha1.Extension, digests []string) (bool, error) {
	if ex.Status.LastOperation == nil || ex.Status.LastOperation.State != gardencorev1beta1.LastOperationStateSucceeded || fluxv1alpha1.StatusOf(ex).Problem != nil {
		return false, nil
	}
	key := client.ObjectKey{Namespace: ex.Namespace, Name: managedresource.Configuration}
	managedResource := &resourcesv1alpha1.ManagedResource{}
	if err := seed.Get(ctx, key, managedResource); client.IgnoreNotFound(err) != nil {
		return false, fmt.Errorf("failed to read ManagedResource %s of the seed: %w", key, err)
	}
	return slices.Contains(digests, managedResource.Labels[managedresource.ConfigurationDigestLabel]), nil
}

// mayReconcile tells whether the Extension may be reconciled although gardenlet does not ask for it. If not, gardenlet will
// ask for it in time: it is about to, or the shoot leaves the seed, sleeps, or has been given up until its owner tries again. But
// gardenlet may have asked for it too early, such as when the shoot began to wake up, or leave the shoot alone (pauses).
func mayReconcile(ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) bool {
	_, operation := ex.Annotations[v1beta1constants.GardenerOperation]
	switch {
	case shoot == nil, shoot.DeletionTimestamp != nil, extensionscontroller.IsShootFailed(shoot), v1beta1helper.HibernationIsEnabled(shoot), shoot.Status.IsHibernated:
		return false
	case gardenerutils.ShouldIgnoreShoot(true, shoot):
		return false
	case operation, ex.DeletionTimestamp != nil, ex.Status.LastOperation == nil:
		return false
	}
	return v1beta1helper.ComputeOperationType(ex.ObjectMeta, ex.Status.LastOperation) == gardencorev1beta1.LastOperationTypeReconcile && !extensionscontroller.IsMigrated(ex) ||
		ex.Status.LastOperation.Type == gardencorev1beta1.LastOperationTypeCreate
}
