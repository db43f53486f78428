// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// observe looks into the shoot, and says how ready it is. It asks gardener-resource-manager first whether the shoot has what is
// configured now: else Flux may speak of a configuration that has been repaired already. The error says that the shoot gave no
// answer.
func (r *reconciler) observe(ctx context.Context, ex *extensionsv1alpha1.Extension, project string) (readiness.Readiness, error) {
	configuration := &resourcesv1alpha1.ManagedResource{}
	key := client.ObjectKey{Namespace: ex.Namespace, Name: managedresource.Configuration}
	err := r.seed.Get(ctx, key, configuration)
	if client.IgnoreNotFound(err) != nil {
		return readiness.Readiness{}, fmt.Errorf("failed to read ManagedResource %s of the seed: %w", key, err)
	}
	if applied := err == nil && health.CheckManagedResourceApplied(configuration) == nil; !applied {
		return readiness.NotAppliedYet(fluxv1alpha1.StatusOf(ex).Revision), nil
	}
	observation, ok := newObservation(ex, project, configuration.Status.Resources)
	if !ok {
		return readiness.OnlyFlux(), nil
	}
	if err := r.readObjects(ctx, ex.Namespace, observation); err != nil {
		return readiness.Readiness{}, err
	}
	now := readiness.Assess(*observation)
	if now.Reason == readiness.HostKeyMismatch {
		observation.PresentedHostKey = r.presented(ctx, ex)
		now = readiness.Assess(*observation)
	}
	if now = observation.Lasting(now, conditionOf(ex)); !r.controllersDue(ctx, ex, now) {
		return now, nil
	}
	if observation.Controllers, err = r.readControllers(ctx, ex.Namespace, observation.Namespace); err != nil {
		if before := conditionOf(ex); before != nil && before.Reason == readiness.ControllersUnavailable {
			return readiness.Readiness{}, err
		}
		log.FromContext(ctx).Error(err, "Nobody knows whether the controllers of Flux run in the shoot")
		return now, nil
	}
	if seen := readiness.Assess(*observation); seen.Reason == readiness.ControllersUnavailable {
		return seen, nil
	}
	return now, nil
}

// newObservation says what is to be looked at, by what gardener-resource-manager has brought to the shoot for Flux. Without a source or a
// Kustomization, there is nothing.
func newObservation(ex *extensionsv1alpha1.Extension, project string, references []resourcesv1alpha1.ObjectReference) (*readiness.Observation, bool) {
	told := fluxv1alpha1.StatusOf(ex)
	observation := &readiness.Observation{Now: time.Now(), Project: project, FluxStatus: told, Namespace: cmp.Or(told.Namespace, flux.Namespace)}
	observation.Origins = map[string]string{}
	for _, written := range told.Configuration {
		observation.Origins[written.Field] = written.Origin
	}
	if state, err := fluxv1alpha1.StateOf(ex); err == nil && state.FollowedOnce != "" {
		observation.OwnedByUsers, observation.SourceKind = true, flux.SourceKindNamed(state.SourceKind)
		observation.SourceKey, observation.KustomizationKey = flux.KeyOf(state.Source, observation.Namespace), flux.KeyOf(state.Kustomization, observation.Namespace)
		return observation, true
	}
	hasSource, hasKustomization := false, false
	for _, reference := range references {
		key := client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}
		group := reference.GroupVersionKind().GroupKind()
		if kind, ok := flux.SourceKindOf(group); ok {
			observation.SourceKind, observation.SourceKey, hasSource = kind, key, true
		} else if group == flux.Kustomization.GroupKind {
			observation.KustomizationKey, hasKustomization = key, true
		}
	}
	return observation, hasSource && hasKustomization
}

// readObjects reads what Flux says.
func (r *reconciler) readObjects(ctx context.Context, namespace string, observation *readiness.Observation) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	shoot, err := r.shoots.Get(ctx, namespace)
	if err != nil {
		return err
	}
	source, err := r.read(ctx, shoot, namespace, observation.SourceKind.GroupKind, observation.SourceKey)
	if err != nil {
		return err
	}
	kustomization, err := r.read(ctx, shoot, namespace, flux.Kustomization.GroupKind, observation.KustomizationKey)
	if err != nil {
		return err
	}
	if source != nil {
		if observation.Source, err = observation.SourceKind.Read(source); err != nil {
			return unknownForm(source, err)
		}
	}
	if kustomization != nil {
		dropLists(kustomization, observation)
		observation.Kustomization = &kustomizev1.Kustomization{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(kustomization.Object, observation.Kustomization); err != nil {
			return unknownForm(kustomization, err)
		}
	}
	return nil
}

func unknownForm(object *unstructured.Unstructured, err error) error {
	return fmt.Errorf("%s %s of the shoot has an unknown form: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
}

// read reads one of Flux's objects. It is nil if there is none.
func (r *reconciler) read(ctx context.Context, shoot client.Client, namespace string, kind schema.GroupKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	content, version, err := get(ctx, shoot, kind, key, r.memory.version(namespace, kind))
	if err != nil {
		return nil, err
	}
	r.memory.with(namespace, func(known *shootMemory) { known.setVersion(kind, version) })
	return content, nil
}

// dropLists drops what a shoot's users may have as many of as fit into an object. Of the inventory, which names what the repository holds, what
// is to be looked at is left.
func dropLists(kustomization *unstructured.Unstructured, observation *readiness.Observation) {
	unstructured.RemoveNestedField(kustomization.Object, "status", "history")
	entries, _, _ := unstructured.NestedFieldNoCopy(kustomization.Object, "status", "inventory", "entries")
	unstructured.RemoveNestedField(kustomization.Object, "status", "inventory")
	list, _ := entries.([]any)
	var own []any
	for _, id := range observation.OwnInventory() {
		if at := slices.IndexFunc(list, func(entry any) bool {
			reference, _ := entry.(map[string]any)
			return reference["id"] == id
		}); at >= 0 {
			own = append(own, list[at])
		}
	}
	if len(own) > 0 {
		_ = unstructured.SetNestedSlice(kustomization.Object, own, "status", "inventory", "entries") // fails only where status is no object
	}
}
