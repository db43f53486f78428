// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"
	"fmt"
	"slices"

	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// maxErrorLength in bytes is what the sentences about a configuration may have together: they are repeated in the status of each shoot
// of the project, in events and in logs.
const maxErrorLength = 1024

// problem is what is wrong in a layer.
type problem struct {
	// layer is the place of the layer among those of a shoot.
	layer int
	// path is of the field of FluxConfig, or the name of a key that stands for none. It decides the order of problems.
	path string
	err  *field.Error
}

// detail says of a field, by the path that people know it by, what is wrong with it. It is nil if nothing is.
type detail func(*field.Path) *field.Error

func invalid(value any, text string) detail {
	return func(path *field.Path) *field.Error { return field.Invalid(path, value, text) }
}

// invalidHidden does not repeat the value, which may be a secret or too long.
func invalidHidden(text string) detail { return invalid(field.OmitValueType{}, text) }

func forbidden(text string) detail {
	return func(path *field.Path) *field.Error { return field.Forbidden(path, text) }
}

func required(text string) detail {
	return func(path *field.Path) *field.Error { return field.Required(path, text) }
}

// rank is the place of a problem of this path: that of the keys, then that of the other fields, and then what is unknown, as it was found.
func rank(path string) int {
	if i := slices.IndexFunc(keys, func(key Key) bool { return path == cmp.Or(key.Field, key.Name) }); i >= 0 {
		return i
	}
	if i := slices.Index(fieldPaths, path); i >= 0 {
		return len(keys) + i
	}
	return len(keys) + len(fieldPaths)
}

// problems are in no order.
type problems []problem

// maxProblems is how many problems are looked for. More than a few are never told.
const maxProblems = 1000

// add adds a problem, unless the layer has another one of the same field: that one is the reason.
func (p *problems) add(layer int, path string, err *field.Error) {
	known := func(other problem) bool {
		return other.layer == layer && other.path == path && other.err.Field == err.Field
	}
	if len(*p) < maxProblems && !slices.ContainsFunc(*p, known) {
		*p = append(*p, problem{layer: layer, path: path, err: err})
	}
}

// list is what people are told, in order: first about lower layers.
func (p problems) list() field.ErrorList {
	slices.SortStableFunc(p, func(a, b problem) int {
		return cmp.Or(cmp.Compare(a.layer, b.layer), cmp.Compare(rank(a.path), rank(b.path)))
	})
	var list field.ErrorList
	for _, problem := range p {
		list = append(list, problem.err)
	}
	return list
}

// summarise is the error that says as many of the problems as have room, the first ones, and counts the others.
func summarise(problems field.ErrorList) error {
	var told []error
	length := 0
	for i, problem := range problems {
		length += len(problem.Error()) + len(", ")
		if i > 0 && length > maxErrorLength {
			told = append(told, fmt.Errorf("and %d more", len(problems)-i))
			break
		}
		told = append(told, problem)
	}
	return utilerrors.NewAggregate(told)
}
