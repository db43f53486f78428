// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// maxGenerations bounds how many Kustomizations that deploy each other are looked at.
const maxGenerations = 8

// DeployerOf returns the Kustomization by which Flux deploys itself, by the object of Flux that tells (migration.InstalledDefinition). It is
// empty if there is none, or if Flux is protected from it (render.Protect).
func DeployerOf(definition metav1.Object) client.ObjectKey {
	if render.IsProtected(definition.GetAnnotations()) {
		return client.ObjectKey{}
	}
	return deployerOf(definition.GetLabels())
}

// deployerOf returns the Kustomization that has deployed an object with these labels.
func deployerOf(labels map[string]string) client.ObjectKey {
	return client.ObjectKey{Namespace: labels[kustomizationKind.Group+"/namespace"], Name: labels[kustomizationKind.Group+"/name"]}
}

// PrunesFlux tells whether a Flux that belongs to the shoot's users could delete itself when the objects, which make it follow the project's
// repository, are written in place of those that the shoot has, or when these go, because there are none. That is so if it is deployed from the
// repository, and the next one need not hold it. root is the Kustomization that the extension has made before, or empty if there is none: if it is not
// among the objects, it goes. Whoever writes them does removal.PreventPruning before.
func PrunesFlux(ctx context.Context, shoot client.Client, deployer, root client.ObjectKey, objects []client.Object) (bool, error) {
	if deployer.Name == "" {
		return false, nil
	}
	i := &inspection{shoot: shoot}
	if next := rootAmong(objects); root.Name == "" {
		root = next
	} else if next != root {
		objects = nil
	}
	if root.Name == "" { // nothing was followed, and nothing is
		return false, nil
	}
	present, err := i.read(ctx, kustomizationKind, root)
	if err != nil || present == nil {
		return false, err
	}
	if changes, err := i.changes(ctx, objects); err != nil || !changes {
		return false, err
	}
	for range maxGenerations {
		if deployer == root {
			return true, nil
		}
		kustomization, err := i.read(ctx, kustomizationKind, deployer)
		if err != nil || kustomization == nil {
			return false, err
		}
		if sourceOf(kustomization) == sourceOf(present) {
			return true, nil
		}
		if deployer = deployerOf(kustomization.GetLabels()); deployer.Name == "" {
			return false, nil
		}
	}
	return true, nil // nobody knows, and what is done about it harms nobody
}

// rootAmong returns the name of the Kustomization that makes Flux follow something, or nothing.
func rootAmong(objects []client.Object) client.ObjectKey {
	for _, object := range objects {
		if object.GetObjectKind().GroupVersionKind().GroupKind() == kustomizationKind {
			return client.ObjectKeyFromObject(object)
		}
	}
	return client.ObjectKey{}
}

// changes tells whether what the root Kustomization of the shoot deploys is to be another.
func (i *inspection) changes(ctx context.Context, objects []client.Object) (bool, error) {
	harmless := map[schema.GroupKind][]string{kustomizationKind: harmlessOfRoot}
	for _, kind := range flux.SourceKinds() {
		harmless[kind.GroupKind] = kind.HarmlessFields
	}
	seen := 0
	for _, object := range objects {
		kind := object.GetObjectKind().GroupVersionKind().GroupKind()
		if harmless[kind] == nil {
			continue
		}
		seen++
		present, err := i.read(ctx, kind, client.ObjectKeyFromObject(object))
		if err != nil || present == nil {
			return true, err
		}
		if fields, err := lostFields(present, object, harmless[kind]); err != nil || len(fields) > 0 {
			return true, err
		}
	}
	return seen == 0, nil // without objects, the root Kustomization goes
}

// sourceOf returns what a Kustomization deploys from.
func sourceOf(kustomization *unstructured.Unstructured) [3]string {
	reference, _, _ := unstructured.NestedStringMap(kustomization.Object, "spec", "sourceRef")
	namespace := reference["namespace"]
	if namespace == "" {
		namespace = kustomization.GetNamespace()
	}
	return [3]string{reference["kind"], namespace, reference["name"]}
}
