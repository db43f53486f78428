// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// maxEchoLength in characters keeps error sentences readable.
const maxEchoLength = 64

// checkValues says which values of a layer are wrong by themselves. No sentence repeats a secret.
func (l *layer) checkValues() {
	for _, path := range fieldPaths {
		value, ok := l.values[path]
		if !ok {
			continue
		}
		if wrong := checkValue(path, value); wrong != nil {
			l.report(path, wrong(field.NewPath(l.name(path))))
			if key := keyOf(path); key != nil && key.OneOf != nil {
				delete(l.values, path) // it may have no place in the type
			}
		}
	}
}

func checkValue(path string, value any) detail {
	if key := keyOf(path); key != nil {
		if yes, ok := value.(bool); ok {
			return key.checkWritten(strconv.FormatBool(yes))
		}
		text, _ := value.(string)
		return key.checkWritten(text)
	}
	return checkOther(path, value)
}

// checkWritten says what is wrong with a value by itself.
func (k *Key) checkWritten(value string) detail {
	if wrong := k.checkText(value); wrong != nil {
		return wrong
	}
	if k.OneOf != nil && !slices.Contains(k.OneOf, value) {
		return func(path *field.Path) *field.Error { return field.NotSupported(path, echo(value), k.OneOf) }
	}
	if k.validate != nil {
		return k.validate(value)
	}
	return nil
}

// isBool tells whether the field is true or false.
func (k *Key) isBool() bool { return slices.Equal(k.OneOf, []string{allow, refuse}) }

// checkText refuses what can't be seen: it is a copying error at best, and would end up in logs and URLs.
func (k *Key) checkText(value string) detail {
	if limit := cmp.Or(k.MaxLength, DefaultMaxLength); len(value) > limit {
		return func(path *field.Path) *field.Error { return field.TooLong(path, "", limit) }
	}
	if !utf8.ValidString(value) {
		return invalidHidden("it is not UTF-8 text: type it again")
	}
	position := 0
	for _, r := range value {
		position++
		if unicode.IsPrint(r) || k.multiline && strings.ContainsRune("\n\r\t", r) {
			continue
		}
		return invalidHidden(fmt.Sprintf("character %d is invisible (%U): type the value again", position, r))
	}
	return nil
}

// validate notes what of all layers together is wrong, after SetDefaults.
func (m *merged) validate(config *fluxv1alpha1.FluxConfig) {
	for _, key := range keys {
		if key.validateTogether != nil && key.applies(config) {
			m.reject(key.Field, key.together, func(name naming) detail { return key.validateTogether(config, name) })
		}
	}
	m.reject(fieldSourceTemplate, []string{"source", "kustomization"}, func(name naming) detail { return requireSource(config, name) })
	m.reject(fieldKustomizationTemplate, []string{"source", "kustomization"}, func(name naming) detail { return requireKustomization(config, name) })
	m.reject(fieldComponents, []string{fieldComponentsExtra}, func(name naming) detail { return requireComponents(config, name) })
}

// echo shortens a value that an error repeats.
func echo(value string) string {
	if utf8.RuneCountInString(value) <= maxEchoLength {
		return value
	}
	return string([]rune(value)[:maxEchoLength]) + "…"
}
