// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"encoding/json"
	"fmt"
	"net"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// naming is what people know a field by, when something is said about the field of another one.
type naming func(path string) string

// merged is what layers say together, and which of them says what.
type merged struct {
	problems

	layers []*layer
	values leaves
	// from has the place of the layer that wrote a value, by path.
	from map[string]int
}

// merge puts layers over each other, the lowest first.
//
// What is short merges field by field. A template replaces what stands for the same thing below it: source.template a source and a repository,
// kustomization.template a Kustomization and the path of a repository. And repository.url replaces a source below it.
func merge(layers []*layer) *merged {
	m := &merged{layers: layers, values: leaves{}, from: map[string]int{}}
	for i, l := range layers {
		for _, own := range l.problems {
			m.add(i, own.path, own.err)
		}
		m.forbidBeside(i)
		m.replaceBy(l)
		for path, value := range l.values {
			m.values[path], m.from[path] = value, i
		}
	}
	return m
}

// forbidBeside refuses what can't be said short of something that a lower layer has as a template.
func (m *merged) forbidBeside(i int) {
	l := m.layers[i]
	refuse := func(path, template, in string) {
		m.add(i, path, field.Forbidden(field.NewPath(l.name(path)), fmt.Sprintf("what is followed is said by %s: write it into %s of a template here", m.nameFor(l, template), in)))
	}
	if m.values.has(fieldSourceTemplate) && !l.values.has(fieldURL) && !l.values.has(fieldSourceTemplate) {
		for path := range l.values {
			if isOfRepository(path) && path != fieldPath {
				refuse(path, fieldSourceTemplate, "spec")
			}
		}
	}
	if m.values.has(fieldKustomizationTemplate) && l.values.has(fieldPath) && !l.values.has(fieldKustomizationTemplate) {
		refuse(fieldPath, fieldKustomizationTemplate, "spec.path")
	}
}

// replaceBy forgets what a layer writes something else in place of.
func (m *merged) replaceBy(l *layer) {
	writes := l.values.has
	if writes(fieldSourceTemplate) {
		m.forget(func(path string) bool { return isOfSource(path) || isOfRepository(path) && path != fieldPath })
	}
	if writes(fieldKustomizationTemplate) {
		m.forget(func(path string) bool { return path == fieldKustomizationTemplate || path == fieldPath })
	}
	if writes(fieldURL) {
		m.forget(isOfSource)
		if m.isOtherServer(l) {
			m.forget(func(path string) bool { return path == fieldKnownHosts })
		}
		if m.isOtherHost(l) {
			m.forget(func(path string) bool { return path == fieldType })
		}
	}
	if slices.ContainsFunc(references, writes) {
		m.forget(isReference)
	}
	if writes(fieldVerifyKeys) {
		m.forget(func(path string) bool { return path == fieldVerifyIssuer || path == fieldVerifySubject })
	}
	if writes(fieldVerifyIssuer) || writes(fieldVerifySubject) {
		m.forget(func(path string) bool { return path == fieldVerifyKeys })
	}
}

// isOtherServer tells whether a layer's URL is of another server than the one below it, whose host keys say nothing about it.
func (m *merged) isOtherServer(l *layer) bool { return m.differs(l, HostPort) }

// isOtherHost tells whether it is even of another host, which must not get the credentials of the one below it unless somebody says so.
func (m *merged) isOtherHost(l *layer) bool {
	return m.differs(l, func(repositoryURL string) string {
		host, _, _ := net.SplitHostPort(HostPort(repositoryURL))
		return host
	})
}

// differs tells whether a part of a layer's URL differs from that of the one below it, if there is one.
func (m *merged) differs(l *layer, part func(repositoryURL string) string) bool {
	before, _ := m.values[fieldURL].(string)
	now, _ := l.values[fieldURL].(string)
	return before != "" && part(before) != part(now)
}

func (m *merged) forget(matches func(path string) bool) {
	for path := range m.values {
		if matches(path) {
			delete(m.values, path)
			delete(m.from, path)
		}
	}
}

func isOfRepository(path string) bool { return strings.HasPrefix(path, "repository.") }

func isOfSource(path string) bool { return strings.HasPrefix(path, "source.") }

// config is what the layers say, without defaults. A value that can't be read is reported by its layer, and left out.
func (m *merged) config() *fluxv1alpha1.FluxConfig {
	config := &fluxv1alpha1.FluxConfig{}
	// What has been read from JSON can be written again, and has the types of the fields.
	if data, err := json.Marshal(m.values.document()); err != nil || json.Unmarshal(data, config) != nil {
		return &fluxv1alpha1.FluxConfig{}
	}
	return config
}

// highest is the highest layer that wrote one of the fields, or a part of them; or the highest of the project if none did.
func (m *merged) highest(paths ...string) int {
	highest := -1
	for written, layer := range m.from {
		if slices.ContainsFunc(paths, func(path string) bool { return written == path || strings.HasPrefix(written, path+".") }) {
			highest = max(highest, layer)
		}
	}
	if highest >= 0 {
		return highest
	}
	return max(0, slices.IndexFunc(m.layers, func(l *layer) bool { return l.origin == OriginProject }))
}

// reject notes what is wrong with a field, in the layer that is to be repaired.
func (m *merged) reject(path string, others []string, check func(naming) detail) {
	layer := m.highest(append([]string{path}, others...)...)
	l := m.layers[layer]
	wrong := check(func(other string) string { return m.nameFor(l, other) })
	if wrong != nil {
		m.add(layer, path, wrong(field.NewPath(l.name(path))))
	}
}

// nameFor is what a field is known by in a sentence about one of a layer: with the place, if it is written in another object.
func (m *merged) nameFor(l *layer, path string) string {
	from, written := m.from[path]
	if !written {
		return l.name(path)
	}
	other := m.layers[from]
	if other.place == l.place {
		return other.name(path)
	}
	return Location{Path: path, Origin: other.originOf(path)}.String()
}
