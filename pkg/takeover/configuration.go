// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"context"
	"fmt"
	"maps"
	"path"
	"reflect"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const (
	// maxFields bounds how many fields are named.
	maxFields = 6
	// maxFieldLength bounds the name of a field. The longest one of Flux is shorter.
	maxFieldLength = 32
)

// harmlessOfRoot are fields of the Kustomization that can be replaced without that what Flux deploys is another. (What is pruned from then on
// is what the repository no longer has.)
var harmlessOfRoot = []string{"deletionPolicy", "interval", "prune", "retryInterval", "timeout"}

// changedSource is a source that gets another content.
type changedSource struct {
	kind flux.SourceKind
	key  client.ObjectKey
}

// checkSource looks at the source.
func (i *inspection) checkSource(ctx context.Context, kind flux.SourceKind, key client.ObjectKey, wanted client.Object) error {
	found, err := i.read(ctx, kind.GroupKind, key)
	if err != nil || found != nil && i.isOurs(found) {
		return err
	}
	if found != nil {
		if program := programOf(found.GetLabels()); program != "" {
			i.conflict.add(kind.Kind, fmt.Sprintf("%s %s belongs to %s", kind.Kind, key, program))
			return nil
		}
		fields, err := lostFields(found, wanted, kind.HarmlessFields)
		if err != nil || len(fields) == 0 {
			return err
		}
		i.conflict.add(kind.Kind, fmt.Sprintf("%s %s is another one, and %s would go or change", kind.Kind, key, list(fields)))
		i.conflict.last = fmt.Sprintf("kubectl -n %s delete %s %s", key.Namespace, kind.Definition(), key.Name)
	}
	i.changedSource = &changedSource{kind: kind, key: key}
	return nil
}

// checkRoot looks at the Kustomization, which has the name of its source.
func (i *inspection) checkRoot(ctx context.Context, key client.ObjectKey, wanted client.Object) error {
	found, err := i.read(ctx, kustomizationKind, key)
	if err != nil {
		return err
	}
	if found != nil && !i.isOurs(found) {
		fields, err := lostFields(found, wanted, harmlessOfRoot)
		switch deployed, program := len(inventory(found)), programOf(found.GetLabels()); {
		case err != nil:
			return err
		case program != "":
			i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s belongs to %s", key, program))
		case found.GetDeletionTimestamp() != nil: // what it is changed to now decides what goes with it
			i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s is still being deleted", key))
		case len(fields) > 0:
			i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s is another one, %s would go or change, and Flux would delete what it has deployed (objects: %d)",
				key, list(fields), deployed), forget(key))
		case i.changedSource != nil && deployed > 0:
			i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s would follow another repository, and Flux would delete what it has deployed (objects: %d)", key, deployed), forget(key))
		}
	}
	return i.checkPredecessorsRoot(ctx, wanted)
}

// checkPredecessorsRoot looks at the Kustomization of the archived first version of the extension. What deploys the same, into the same namespace,
// takes its place (Predecessor). Else somebody has to decide.
func (i *inspection) checkPredecessorsRoot(ctx context.Context, wanted client.Object) error {
	predecessor, err := FindPredecessor(ctx, i.shoot, i.request.Namespace)
	if err != nil || predecessor == nil {
		return err
	}
	found, key := predecessor.kustomization, predecessor.Key()
	harmless := append([]string{"sourceRef"}, harmlessOfRoot...)
	switch {
	case isSuspendedForTakeover(found):
		harmless = append(harmless, "suspend")
	case found.GetDeletionTimestamp() != nil: // Flux is deleting what it has deployed
		i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s of the extension's first version is still being deleted", key))
		return nil
	}
	fields, err := lostFields(found, wanted, harmless)
	if err != nil || len(fields) == 0 {
		return err
	}
	i.conflict.add(ofRoot, fmt.Sprintf("Kustomization %s of the extension's first version deploys the repository too, with %s that would go", key, list(fields)), forget(key))
	return nil
}

// checkSecret looks at a Secret. What other extensions of this type have made, the archived first version among them, is the project's or of the Shoot,
// as is what replaces it.
func (i *inspection) checkSecret(ctx context.Context, key client.ObjectKey, wanted client.Object) error {
	found := &corev1.Secret{}
	switch err := i.shoot.Get(ctx, key, found); {
	case apierrors.IsNotFound(err):
		return nil
	case err != nil:
		return fmt.Errorf("failed to read Secret %s of the shoot: %w", key, err)
	case i.isOurs(found), managedresource.CameFromPredecessor(found, i.request.Namespace), found.Labels[render.ManagedByLabel] == render.ManagedBy:
		return nil
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return err
	}
	ours := &corev1.Secret{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(content, ours); err != nil {
		return fmt.Errorf("failed to read Secret %s that is to be written: %w", key, err)
	}
	if found.Type == ours.Type && apiequality.Semantic.DeepEqual(found.Data, ours.Data) {
		return nil
	}
	i.conflict.add(ofSecret, fmt.Sprintf("Secret %s has another content", key),
		fmt.Sprintf("kubectl -n %[1]s get secret %[2]s -o yaml > %[2]s.yaml && kubectl delete -f %[2]s.yaml", key.Namespace, key.Name))
	return nil
}

// lostFields returns the fields of a specification that would go or get another value, but for those that do no harm.
func lostFields(found *unstructured.Unstructured, wanted client.Object, harmless []string) ([]string, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(wanted)
	if err != nil {
		return nil, err
	}
	theirs, _, err := unstructured.NestedMap(found.Object, "spec")
	if err != nil {
		return nil, fmt.Errorf("%s %s of the shoot has an unknown form: %w", found.GetKind(), client.ObjectKeyFromObject(found), err)
	}
	ours, _, err := unstructured.NestedMap(content, "spec")
	if err != nil {
		return nil, err
	}
	all := maps.Clone(theirs)
	if all == nil {
		all = map[string]any{}
	}
	maps.Copy(all, ours)
	var fields []string
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if !slices.Contains(harmless, field) && !reflect.DeepEqual(normalForm(field, theirs[field], found.GetNamespace()), normalForm(field, ours[field], found.GetNamespace())) {
			fields = append(fields, field)
		}
	}
	return fields, nil
}

// normalForm makes values equal that mean the same to Flux in an object of a namespace.
func normalForm(field string, value any, namespace string) any {
	switch v := value.(type) {
	case string:
		value = strings.TrimSuffix(v, "/")
	case map[string]any:
		if field == "sourceRef" {
			reference := map[string]any{"namespace": namespace}
			maps.Copy(reference, v)
			delete(reference, "apiVersion")
			return reference
		}
		if len(v) == 0 {
			return nil
		}
	case []any:
		if len(v) == 0 {
			return nil
		}
	}
	switch {
	case field == "path": // none is the root directory
		directory, _ := value.(string)
		return path.Clean("/" + directory)
	case value == nil || reflect.ValueOf(value).IsZero():
		return nil
	}
	return value
}

// list names fields in a bounded length. Their names are those of the shoot's CustomResourceDefinition, which its owner may have changed.
func list(fields []string) string {
	var names []string
	for _, field := range fields[:min(len(fields), maxFields)] {
		names = append(names, "spec."+strings.ToValidUTF8(field[:min(len(field), maxFieldLength)], ""))
	}
	if len(fields) > maxFields {
		names = append(names, "…")
	}
	return strings.Join(names, ", ")
}

// inventory is what Flux has deployed by a Kustomization.
func inventory(kustomization *unstructured.Unstructured) []any {
	entries, _, _ := unstructured.NestedSlice(kustomization.Object, "status", "inventory", "entries")
	return entries
}
