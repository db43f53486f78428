// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"reflect"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/runtime"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// Fields of FluxConfig, by their paths.
const (
	fieldVersion         = "flux.version"
	fieldRegistry        = "flux.registry"
	fieldNamespace       = "flux.namespace"
	fieldComponents      = "flux.components"
	fieldComponentsExtra = "flux.componentsExtra"

	fieldURL           = "repository.url"
	fieldBranch        = "repository.branch"
	fieldTag           = "repository.tag"
	fieldSemver        = "repository.semver"
	fieldCommit        = "repository.commit"
	fieldRefName       = "repository.refName"
	fieldDigest        = "repository.digest"
	fieldType          = "repository.type"
	fieldPath          = "repository.path"
	fieldKnownHosts    = "repository.knownHosts"
	fieldVerifyKeys    = "repository.verify.keys"
	fieldVerifyIssuer  = "repository.verify.issuer"
	fieldVerifySubject = "repository.verify.subject"

	fieldSourceTemplate        = "source.template"
	fieldSecretResourceName    = "source.secretResourceName"
	fieldKustomizationTemplate = "kustomization.template"
	fieldAdditionalSecrets     = "additionalSecretResources"

	fieldInstallation  = "installation"
	fieldSyncMode      = "syncMode"
	fieldRemovalPolicy = "removalPolicy"
)

// references are the fields of which one layer writes one at most.
var references = []string{fieldBranch, fieldTag, fieldSemver, fieldCommit, fieldRefName, fieldDigest}

// leaves are the values of a FluxConfig that are written, by their paths, as encoding/json reads them. Lists and templates are whole.
type leaves map[string]any

// fieldPaths are the paths of all values of a FluxConfig, in the order of the type.
var fieldPaths = pathsOf(reflect.TypeFor[fluxv1alpha1.FluxConfig](), "")

func pathsOf(structure reflect.Type, prefix string) []string {
	var paths []string
	for field := range structure.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" { // apiVersion and kind
			continue
		}
		if inner := structureOf(field.Type); inner != nil {
			paths = append(paths, pathsOf(inner, prefix+name+".")...)
		} else {
			paths = append(paths, prefix+name)
		}
	}
	return paths
}

// structureOf is the type of what has fields of its own, or nil.
func structureOf(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || t == reflect.TypeFor[runtime.RawExtension]() {
		return nil
	}
	return t
}

// Field is a field of FluxConfig, or a part that has fields of its own.
type Field struct {
	// Path has the names of the fields that lead to it, with dots.
	Path string
	// Kind is what can be written: text, bool, list, fields, or any for a template.
	Kind string
}

// Fields are all fields of FluxConfig and their parts, each part before its fields.
func Fields() []Field {
	return kindsOf(reflect.TypeFor[fluxv1alpha1.FluxConfig](), "")
}

func kindsOf(structure reflect.Type, prefix string) []Field {
	var fields []Field
	for field := range structure.Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" { // apiVersion and kind
			continue
		}
		inner := structureOf(field.Type)
		fields = append(fields, Field{Path: prefix + name, Kind: kindOf(field.Type)})
		if inner != nil {
			fields = append(fields, kindsOf(inner, prefix+name+".")...)
		}
	}
	return fields
}

func kindOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[runtime.RawExtension]():
		return "any"
	case structureOf(t) != nil:
		return "fields"
	case t.Kind() == reflect.Pointer:
		return kindOf(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list"
	case t.Kind() == reflect.Bool:
		return "bool"
	}
	return "text"
}

// fieldsBelow are the names of the fields of a part of FluxConfig, by its path.
func fieldsBelow(path string) []string {
	structure := reflect.TypeFor[fluxv1alpha1.FluxConfig]()
	for name := range strings.SplitSeq(path, ".") {
		name, _, isElement := strings.Cut(name, "[")
		if name == "" {
			continue
		}
		field, ok := fieldNamed(structure, name)
		if !ok {
			return nil
		}
		if isElement && field.Type.Kind() == reflect.Slice {
			structure = field.Type.Elem()
		} else if structure = structureOf(field.Type); structure == nil {
			return nil
		}
	}
	return namesOf(structure)
}

func fieldNamed(structure reflect.Type, name string) (reflect.StructField, bool) {
	for field := range structure.Fields() {
		if jsonName, _, _ := strings.Cut(field.Tag.Get("json"), ","); jsonName == name {
			return field, true
		}
	}
	return reflect.StructField{}, false
}

func namesOf(structure reflect.Type) []string {
	var names []string
	for field := range structure.Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// flatten takes the known values out of a document. What is null or an empty text is not written.
func flatten(document map[string]any) leaves {
	found := leaves{}
	for _, path := range fieldPaths {
		value, ok := valueAt(document, strings.Split(path, "."))
		if text, isText := value.(string); ok && isText {
			value = strings.TrimSpace(text)
		}
		if ok && value != nil && value != "" {
			found[path] = value
		}
	}
	return found
}

func valueAt(document map[string]any, path []string) (any, bool) {
	value, ok := document[path[0]]
	if !ok || len(path) == 1 {
		return value, ok
	}
	inner, ok := value.(map[string]any)
	if !ok {
		return nil, false
	}
	return valueAt(inner, path[1:])
}

// document puts the values where they belong.
func (l leaves) document() map[string]any {
	document := map[string]any{}
	for path, value := range l {
		at := document
		names := strings.Split(path, ".")
		for _, name := range names[:len(names)-1] {
			inner, ok := at[name].(map[string]any)
			if !ok {
				inner = map[string]any{}
				at[name] = inner
			}
			at = inner
		}
		at[names[len(names)-1]] = value
	}
	return document
}

// has tells whether a value or something below it is written.
func (l leaves) has(path string) bool {
	if _, ok := l[path]; ok {
		return true
	}
	for written := range l {
		if strings.HasPrefix(written, path+".") {
			return true
		}
	}
	return false
}

// isReference tells whether a field says what of the repository to follow.
func isReference(path string) bool { return slices.Contains(references, path) }
