// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// What the objects of the shoot are compared by. Their versions may be others than those that were rendered, if the shoot's users upgrade
// Flux (installation: once): so fields are compared that the newest version knows, in the form that it gives them, and of what was not
// rendered only what no version has a default for.

// optionalFields are those that not all versions have. It is no difference if the shoot has none of them.
var optionalFields = []string{"deletionPolicy", "timeout"}

// FieldDigests returns digests of what Configuration has rendered, by which it is known of the objects of the shoot whether they are still so:
// of each field of their specifications, by <kind>.<field>.
func FieldDigests(objects []client.Object) (map[string]string, error) {
	var digests map[string]string
	for _, object := range objects {
		kind, ok := flux.KindOf(object.GetObjectKind().GroupVersionKind().GroupKind())
		if !ok {
			continue
		}
		content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
		if err != nil {
			return nil, fmt.Errorf("failed to read the rendered %s: %w", kind.Kind, err)
		}
		rendered, _ := content["spec"].(map[string]any)
		fields, err := newestForm(kind, rendered)
		if err != nil {
			return nil, fmt.Errorf("failed to read the rendered %s: %w", kind.Kind, err)
		}
		if digests == nil {
			digests = map[string]string{}
		}
		for field := range rendered {
			digests[kind.Kind+"."+field] = digestOf(field, fields[field], object.GetNamespace())
		}
	}
	return digests, nil
}

// ChangedFields returns in order which fields of the specification of an object in a namespace of the shoot, of the type that kind.NewSpec
// returns, are not as they were rendered. Without digests of its kind, nothing is known, and it returns none.
func ChangedFields(kind flux.ObjectKind, namespace string, spec any, digests map[string]string) []string {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
	if err != nil {
		return nil // a typed object has a form
	}
	var changed []string
	prefix, known := kind.Kind+".", false
	for name, digest := range digests {
		if len(name) <= len(prefix) || name[:len(prefix)] != prefix {
			continue
		}
		known = true
		field := name[len(prefix):]
		if isEmpty(fields[field]) && slices.Contains(optionalFields, field) {
			continue
		}
		if digestOf(field, fields[field], namespace) != digest {
			changed = append(changed, field)
		}
	}
	if !known {
		return nil
	}
	for _, field := range kind.DecidingFields {
		if !isEmpty(fields[field]) && digests[prefix+field] == "" {
			changed = append(changed, field)
		}
	}
	slices.Sort(changed)
	return changed
}

// IsSuspended tells by digests whether an object of a kind was rendered such that Flux does not work on it.
func IsSuspended(kind flux.ObjectKind, digests map[string]string) bool {
	return digests[kind.Kind+".suspend"] == digestOf("suspend", true, "")
}

// newestForm turns fields of a specification into those of the newest version.
func newestForm(kind flux.ObjectKind, fields map[string]any) (map[string]any, error) {
	spec := kind.NewSpec()
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(fields, spec); err != nil {
		return nil, err
	}
	return runtime.DefaultUnstructuredConverter.ToUnstructured(spec)
}

// digestOf is the same for values that mean the same to Flux in an object of a namespace.
func digestOf(field string, value any, namespace string) string {
	switch v := value.(type) {
	case string:
		if field == "path" {
			value = path.Clean("/" + v)
		}
	case map[string]any:
		if field == "sourceRef" {
			delete(v, "apiVersion")
			if v["namespace"] == namespace {
				delete(v, "namespace")
			}
		}
	}
	if isEmpty(value) {
		value = nil
	}
	text, err := json.Marshal(value)
	if err != nil {
		panic(err) // what was JSON can be so again
	}
	return fmt.Sprintf("%x", sha256.Sum256(text))[:16]
}

func isEmpty(value any) bool {
	if value == nil {
		return true
	}
	switch v := reflect.ValueOf(value); v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	default:
		return v.IsZero()
	}
}
