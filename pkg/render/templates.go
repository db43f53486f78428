// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// What is followed, as it is written as an object of Flux: a template. What it says is what the shoot gets. What it leaves out is set only if
// there can't be nothing: kind, names, intervals, spec.prune, and which source the Kustomization follows. And, while the extension manages both,
// what Flux does with what it has deployed when the Kustomization goes.

// The fields of a FluxConfig with the templates.
const (
	sourceTemplate        = "source.template"
	kustomizationTemplate = "kustomization.template"
)

// templateInterval is the interval of objects that say nothing else.
const templateInterval = "1m0s"

// sourceObject returns the source, as it is written or of the repository.
func sourceObject(wanted Wanted) (*unstructured.Unstructured, error) {
	if wanted.Config.Source == nil {
		return newSource(wanted)
	}
	object, err := readTemplate(sourceTemplate, wanted.Config.Source.Template, flux.GitRepository.ObjectKind)
	if err != nil {
		return nil, err
	}
	if err := setDefaults(object, wanted.namespace()); err != nil {
		return nil, fmt.Errorf("source.template: %w", err)
	}
	if wanted.Config.Source.SecretResourceName != "" {
		err = setDefault(object, flux.Name, "spec", "secretRef", "name")
	}
	return object, err
}

// kustomizationObject returns the Kustomization, as it is written or of the repository, that follows a source.
func kustomizationObject(wanted Wanted, origin *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	if wanted.Config.Kustomization == nil {
		if wanted.Config.Repository == nil {
			return nil, errors.New("kustomization.template is missing: write it beside source.template")
		}
		return asObject(flux.Kustomization.GroupKind, newKustomization(wanted, origin))
	}
	object, err := readTemplate(kustomizationTemplate, wanted.Config.Kustomization.Template, flux.Kustomization)
	if err != nil {
		return nil, err
	}
	// In this order: the source says where it is only if its template does.
	err = errors.Join(
		setDefault(object, origin.GetKind(), "spec", "sourceRef", "kind"),
		setDefault(object, origin.GetName(), "spec", "sourceRef", "name"),
		setDefault(object, origin.GetNamespace(), "spec", "sourceRef", "namespace"),
		setDefaults(object, wanted.namespace()),
	)
	if _, found, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "prune"); err == nil && !found {
		err = unstructured.SetNestedField(object.Object, false, "spec", "prune")
	}
	if err != nil {
		return nil, fmt.Errorf("kustomization.template: %w", err)
	}
	return object, nil
}

// keepDeployed lets what Flux has deployed stay when a Kustomization goes that says nothing of that, if the release can: with another name,
// gardener-resource-manager deletes it before the one that takes its place has applied anything. What the shoot's users are to have is as it was
// written.
func (c *customResource) keepDeployed(root *unstructured.Unstructured, mode fluxv1alpha1.SyncMode) error {
	if mode == fluxv1alpha1.SyncOnce || !c.knows("spec", "deletionPolicy") {
		return nil
	}
	if written, _, _ := unstructured.NestedFieldNoCopy(root.Object, "spec", "deletionPolicy"); written != nil {
		return nil
	}
	return unstructured.SetNestedField(root.Object, kustomizev1.DeletionPolicyOrphan, "spec", "deletionPolicy")
}

// readTemplate returns the part of a template that people can write. Without apiVersion and kind it is of the given kind. Its version does not
// matter: that of the release takes its place, as an API server does it.
func readTemplate(field string, template runtime.RawExtension, standard flux.ObjectKind) (*unstructured.Unstructured, error) {
	written := map[string]any{}
	if err := json.Unmarshal(template.Raw, &written); err != nil {
		return nil, fmt.Errorf("%s is no object: write a %s", field, standard.Kind)
	}
	object := &unstructured.Unstructured{Object: map[string]any{}}
	kind, _ := written["kind"].(string)
	if kind == "" {
		kind = standard.Kind
	}
	group := standard.Group
	if apiVersion, _ := written["apiVersion"].(string); apiVersion != "" {
		group, _, _ = strings.Cut(apiVersion, "/")
	}
	if group != standard.Group {
		return nil, fmt.Errorf("%s has apiVersion %v: write %s/%s", field, written["apiVersion"], standard.Group, flux.Versions()[0])
	}
	object.SetAPIVersion(group + "/" + flux.Versions()[0])
	object.SetKind(kind)
	if _, ok := flux.KindOf(object.GroupVersionKind().GroupKind()); !ok {
		return nil, fmt.Errorf("%s has kind %s, which can't be here", field, kind)
	}
	if metadata, ok := written["metadata"].(map[string]any); ok {
		for _, name := range []string{"name", "namespace", "labels", "annotations"} {
			if value, ok := metadata[name]; ok {
				if err := unstructured.SetNestedField(object.Object, value, "metadata", name); err != nil {
					return nil, err
				}
			}
		}
	}
	spec, ok := written["spec"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("%s has no spec", field)
	}
	object.Object["spec"] = spec
	return object, nil
}

// setDefaults sets what can't be left out of any object.
func setDefaults(object *unstructured.Unstructured, namespace string) error {
	if interval, _, _ := unstructured.NestedString(object.Object, "spec", "interval"); isZeroDuration(interval) {
		unstructured.RemoveNestedField(object.Object, "spec", "interval")
	}
	return errors.Join(
		setDefault(object, flux.Name, "metadata", "name"),
		setDefault(object, namespace, "metadata", "namespace"),
		setDefault(object, templateInterval, "spec", "interval"),
	)
}

func isZeroDuration(text string) bool {
	duration, err := time.ParseDuration(text)
	return err == nil && duration == 0
}

// setDefault sets a field of a text that is missing or empty.
func setDefault(object *unstructured.Unstructured, value string, fields ...string) error {
	written, _, err := unstructured.NestedString(object.Object, fields...)
	if err != nil || written != "" {
		return err
	}
	return unstructured.SetNestedField(object.Object, value, fields...)
}
