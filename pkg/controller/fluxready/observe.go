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
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
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
	if !slices.ContainsFunc(configuration.Status.Resources, isGitRepository) {
		return readiness.OnlyFlux(), nil
	}

	observation, err := r.readObjects(ctx, ex, project)
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
func (r *reconciler) readObjects(ctx context.Context, ex *extensionsv1alpha1.Extension, project string) (readiness.Observation, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	observation := readiness.Observation{Now: time.Now(), Project: project, Told: fluxv1alpha1.StatusOf(ex)}
	shoot, err := r.shoots.Get(ctx, ex.Namespace)
	if err != nil {
		return observation, err
	}
	gitRepository, kustomization := &sourcev1.GitRepository{}, &kustomizev1.Kustomization{}
	sourceExists, err := r.read(ctx, shoot, ex.Namespace, gitRepositoryKind, gitRepository)
	if err != nil {
		return observation, err
	}
	rootExists, err := r.read(ctx, shoot, ex.Namespace, kustomizationKind, kustomization)
	if err != nil {
		return observation, err
	}
	if sourceExists {
		observation.GitRepository = gitRepository
	}
	if rootExists {
		observation.Kustomization = kustomization
	}
	return observation, nil
}

// maxOwn is more than there are kinds of objects that the extension gives its name to.
const maxOwn = 10

func isGitRepository(reference resourcesv1alpha1.ObjectReference) bool {
	return reference.GroupVersionKind().GroupKind() == gitRepositoryKind &&
		reference.Namespace == render.Namespace && reference.Name == render.Name
}

// read reads the object that Flux's bootstrap names flux-system. What the API versions of Flux have in common is enough. It tells whether the
// object exists.
func (r *reconciler) read(ctx context.Context, shoot client.Client, namespace string, kind schema.GroupKind, object any) (bool, error) {
	content, version, err := get(ctx, shoot, kind, r.memory.version(namespace, kind))
	if err != nil {
		return false, err
	}
	r.memory.with(namespace, func(known *shootMemory) { known.setVersion(kind, version) })
	if content == nil {
		return false, nil
	}
	dropLists(content)
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content.Object, object); err != nil {
		return false, fmt.Errorf("%s %s/%s of the shoot has an unknown form: %w", kind.Kind, render.Namespace, render.Name, err)
	}
	return true, nil
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
		return !strings.HasPrefix(id, render.Namespace+"_"+render.Name+"_")
	})
	if len(own) > 0 && len(own) <= maxOwn {
		_ = unstructured.SetNestedSlice(content.Object, own, "status", "inventory", "entries") // fails only where status is no object
	}
}
