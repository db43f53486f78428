// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"context"
	"fmt"
	"slices"
	"strings"
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
		return readiness.NotThereYet(fluxv1alpha1.StatusOf(ex).Revision), nil
	}
	kind, ok := followedKind(configuration.Status.Resources)
	if !ok {
		return readiness.OnlyFlux(), nil
	}

	observation, err := r.readObjects(ctx, ex, project, kind)
	if err != nil {
		return readiness.Readiness{}, err
	}
	now := readiness.Assess(observation)
	if now.Reason == readiness.HostKeyMismatch {
		observation.PresentedHostKey = r.presented(ctx, ex)
		now = readiness.Assess(observation)
	}
	if now = now.Lasting(conditionOf(ex), observation.Now); !r.controllersDue(ctx, ex, now) {
		return now, nil
	}
	if observation.Controllers, err = r.readControllers(ctx, ex.Namespace); err != nil {
		if before := conditionOf(ex); before != nil && before.Reason == readiness.ControllersUnavailable {
			return readiness.Readiness{}, err
		}
		log.FromContext(ctx).Error(err, "Nobody knows whether the controllers of Flux run in the shoot")
		return now, nil
	}
	if seen := readiness.Assess(observation); seen.Reason == readiness.ControllersUnavailable {
		return seen, nil
	}
	return now, nil
}

// readObjects reads what Flux says.
func (r *reconciler) readObjects(ctx context.Context, ex *extensionsv1alpha1.Extension, project string, kind flux.SourceKind) (readiness.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	observation := readiness.Observation{Now: time.Now(), Project: project, Told: fluxv1alpha1.StatusOf(ex), SourceKind: kind}
	shoot, err := r.shoots.Get(ctx, ex.Namespace)
	if err != nil {
		return observation, err
	}
	source, err := r.read(ctx, shoot, ex.Namespace, kind.GroupKind)
	if err != nil {
		return observation, err
	}
	kustomization, err := r.read(ctx, shoot, ex.Namespace, flux.Kustomization.GroupKind)
	if err != nil {
		return observation, err
	}
	if source != nil {
		if observation.Source, err = kind.Read(source); err != nil {
			return observation, unknownForm(source, err)
		}
	}
	if kustomization != nil {
		observation.Kustomization = &kustomizev1.Kustomization{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(kustomization.Object, observation.Kustomization); err != nil {
			return observation, unknownForm(kustomization, err)
		}
	}
	return observation, nil
}

func unknownForm(object *unstructured.Unstructured, err error) error {
	return fmt.Errorf("%s %s of the shoot has an unknown form: %w", object.GetKind(), client.ObjectKeyFromObject(object), err)
}

// maxOwn is more than there are kinds of objects that the extension gives its name to.
const maxOwn = 10

// followedKind is the kind of the source among the objects that the shoot is to have for Flux.
func followedKind(references []resourcesv1alpha1.ObjectReference) (flux.SourceKind, bool) {
	for _, reference := range references {
		if kind, ok := flux.SourceKindOf(reference.GroupVersionKind().GroupKind()); ok && reference.Namespace == flux.Namespace && reference.Name == flux.Name {
			return kind, true
		}
	}
	return flux.SourceKind{}, false
}

// read reads the object that Flux's bootstrap names flux-system. It is nil if there is none.
func (r *reconciler) read(ctx context.Context, shoot client.Client, namespace string, kind schema.GroupKind) (*unstructured.Unstructured, error) {
	content, version, err := get(ctx, shoot, kind, r.memory.version(namespace, kind))
	if err != nil {
		return nil, err
	}
	r.memory.with(namespace, func(known *shootMemory) { known.setVersion(kind, version) })
	if content != nil {
		dropLists(content)
	}
	return content, nil
}

// dropLists drops what a shoot's users may have as many of as fit into an object. Of the inventory, which names what the repository holds, the
// extension's own objects are left.
func dropLists(content *unstructured.Unstructured) {
	unstructured.RemoveNestedField(content.Object, "status", "history")
	entries, _, _ := unstructured.NestedFieldNoCopy(content.Object, "status", "inventory", "entries")
	unstructured.RemoveNestedField(content.Object, "status", "inventory")
	list, _ := entries.([]any)
	own := slices.DeleteFunc(list, func(entry any) bool {
		reference, _ := entry.(map[string]any)
		id, _ := reference["id"].(string)
		return !strings.HasPrefix(id, flux.Namespace+"_"+flux.Name+"_")
	})
	if len(own) > 0 && len(own) <= maxOwn {
		_ = unstructured.SetNestedSlice(content.Object, own, "status", "inventory", "entries") // fails only where status is no object
	}
}
