// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

const (
	// controllersInterval is the time between two looks at Flux's controllers in a shoot of which nothing else says that one is
	// needed. That a controller has died shows in Flux's objects only when there is something to do.
	controllersInterval = 10 * time.Minute
	// suspiciousInterval is that time if something does say so.
	suspiciousInterval = 20 * time.Second
	// maxPods is how many pods of a controller are looked at.
	maxPods = 5
)

// controllersDue tells whether it is time to look at Flux's controllers: from time to time, and as long as something says that
// they may not run, which is the readiness without a look at them, the condition as it is, and gardener-resource-manager.
func (r *reconciler) controllersDue(ctx context.Context, ex *extensionsv1alpha1.Extension, now readiness.Readiness) bool {
	before := conditionOf(ex)
	pause := controllersInterval
	if isSuspicious(now.Reason) || before != nil && isSuspicious(before.Reason) || r.installationIsUnhealthy(ctx, ex.Namespace) {
		pause = suspiciousInterval
	}
	due := before != nil && (before.Reason == readiness.ControllersUnavailable || isSuspicious(now.Reason) && now.Reason != before.Reason)
	r.memory.with(ex.Namespace, func(known *shootMemory) {
		due = due || time.Since(known.controllersAt) >= pause
		if due {
			known.controllersAt = time.Now()
		}
	})
	return due
}

// isSuspicious tells whether the reason may be that Flux's controllers do not run.
func isSuspicious(reason string) bool {
	switch reason {
	case readiness.ControllersUnavailable, readiness.NoProgress, readiness.NotObserved, readiness.ArtifactFailed:
		return true
	}
	return false
}

// installationIsUnhealthy tells whether gardener-resource-manager, which looks at the Deployments every minute, says so.
func (r *reconciler) installationIsUnhealthy(ctx context.Context, namespace string) bool {
	installation := &resourcesv1alpha1.ManagedResource{}
	if err := r.seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: managedresource.Installation}, installation); err != nil {
		return false
	}
	for _, condition := range installation.Status.Conditions {
		if condition.Type == resourcesv1alpha1.ResourcesHealthy && condition.Status == gardencorev1beta1.ConditionFalse {
			return true
		}
	}
	return false
}

// readControllers looks at the Deployments of Flux's controllers in a namespace of the shoot, and, if they do not run, at their pods.
func (r *reconciler) readControllers(ctx context.Context, namespace, fluxNamespace string) ([]readiness.Controller, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	shoot, err := r.shoots.Get(ctx, namespace)
	if err != nil {
		return nil, err
	}
	var controllers []readiness.Controller
	for _, name := range readiness.ControllerNames {
		controller, err := readController(ctx, shoot, client.ObjectKey{Namespace: fluxNamespace, Name: name})
		if err != nil {
			return nil, err
		}
		controllers = append(controllers, controller)
	}
	return controllers, nil
}

// readController knows neither Deployments nor pods by the client's scheme, which has only what Gardener's library needs.
func readController(ctx context.Context, shoot client.Client, key client.ObjectKey) (readiness.Controller, error) {
	controller := readiness.Controller{Name: key.Name}
	content := &unstructured.Unstructured{}
	content.SetGroupVersionKind(appsv1.SchemeGroupVersion.WithKind("Deployment"))
	if err := shoot.Get(ctx, key, content); apierrors.IsNotFound(err) {
		return controller, nil
	} else if err != nil {
		return controller, fmt.Errorf("failed to read Deployment %s of the shoot: %w", key, err)
	}
	controller.Deployment = &appsv1.Deployment{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, controller.Deployment); err != nil {
		return controller, fmt.Errorf("the Deployment %s of the shoot has an unknown form: %w", key, err)
	}
	if !controller.NeedsPods(time.Now()) {
		return controller, nil
	}
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("PodList"))
	if err := shoot.List(ctx, list, client.InNamespace(key.Namespace), client.MatchingLabels{flux.LabelApp: key.Name}, client.Limit(maxPods)); err != nil {
		return controller, fmt.Errorf("failed to list the pods of Deployment %s of the shoot: %w", key, err)
	}
	pods := &corev1.PodList{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(list.UnstructuredContent(), pods); err != nil {
		return controller, fmt.Errorf("the pods of Deployment %s of the shoot have an unknown form: %w", key, err)
	}
	controller.Pods = pods.Items
	return controller, nil
}
