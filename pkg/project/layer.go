// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

// The origins of values, as they are told. That of an override has its place in the list, such as overrides[1].
const (
	// OriginLandscape is the operator, by the defaults of the landscape.
	OriginLandscape = "landscape"
	// OriginProject is the project's admin, by ConfigMap flux-config.
	OriginProject = "project"
	// OriginShoot is the owner of the shoot, by its providerConfig.
	OriginShoot = "shoot"
	// OriginForm is the form of the shoot's providerConfig, which has defaults of its own.
	OriginForm = "form of the shoot's providerConfig"
)

// place is where people write a layer.
type place int

const (
	inLandscape place = iota
	inConfigMap
	inShoot
)

// layer is what has been written in one place.
type layer struct {
	origin string
	place  place
	// prefix stands before the path of a field that has no key, and document is what people know the whole document by.
	prefix, document string

	// values are what is written, and names say as what: by a key or by a field of a document.
	values leaves
	names  map[string]string
	// problems are those that the layer has by itself. Their layer is not set.
	problems problems
}

// newLayer makes an empty layer. If a document stands for all of the layer, prefix is empty.
func newLayer(origin string, place place, document, prefix string) *layer {
	return &layer{origin: origin, place: place, document: document, prefix: prefix, values: leaves{}, names: map[string]string{}}
}

// name is what people know a field by in this layer, whether it is written or not.
func (l *layer) name(path string) string {
	if name, ok := l.names[path]; ok {
		return name
	}
	if key := keyOf(path); key != nil && l.origin == OriginProject {
		return key.Name
	}
	return l.prefix + path
}

func (l *layer) report(path string, err *field.Error) { l.problems.add(0, path, err) }

// write takes a value, under the name that people know it by. Twice is an error that names both.
func (l *layer) write(path, name string, value any) {
	if other, ok := l.names[path]; ok {
		l.report(path, field.Forbidden(field.NewPath(name), fmt.Sprintf("%s says it too: remove one of them", other)))
		return
	}
	l.values[path], l.names[path] = value, name
}

// drop forgets a value, and that it was written.
func (l *layer) drop(path string) {
	delete(l.values, path)
	delete(l.names, path)
}

// check says what a layer must not say beside each other, and what is wrong with single values.
func (l *layer) check() {
	l.checkValues()
	l.dropUpstreamRegistry()
	var named []string
	for _, path := range references {
		if l.values.has(path) {
			named = append(named, path)
		}
	}
	for _, path := range slices.Clone(named)[min(1, len(named)):] {
		l.report(path, field.Forbidden(field.NewPath(l.name(path)), fmt.Sprintf("%s says already what to follow: remove one of them", l.name(named[0]))))
	}
	if l.values.has(fieldSourceTemplate) {
		for _, path := range fieldPaths {
			if isOfRepository(path) && path != fieldPath && l.values.has(path) {
				l.report(path, field.Forbidden(field.NewPath(l.name(path)), fmt.Sprintf("%s says already what to follow: write it into the template, or remove the template", l.name(fieldSourceTemplate))))
			}
		}
	}
	if l.values.has(fieldKustomizationTemplate) && l.values.has(fieldPath) {
		l.report(fieldPath, field.Forbidden(field.NewPath(l.name(fieldPath)), fmt.Sprintf("%s says already how to follow: write it into spec.path of the template, or remove the template", l.name(fieldKustomizationTemplate))))
	}
	if len(l.values) > 0 && l.values.has(fieldSecretResourceName) && !l.values.has(fieldSourceTemplate) {
		l.report(fieldSecretResourceName, field.Forbidden(field.NewPath(l.name(fieldSecretResourceName)), "it belongs to the template beside it: write "+l.name(fieldSourceTemplate)))
	}
}
