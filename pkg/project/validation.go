// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// maxEchoLength in characters keeps error sentences readable.
const maxEchoLength = 64

// Validate says what is wrong with a FluxConfig after SetDefaults. Each error names the key of
// ConfigMap flux-config that it is about, and none repeats a secret.
func Validate(c *fluxv1alpha1.FluxConfig) field.ErrorList {
	var errs field.ErrorList
	for _, key := range keys {
		if key.applies(c) {
			errs = append(errs, key.check(c)...)
		}
	}
	return errs
}

// check says what is wrong with the field.
func (k *Key) check(c *fluxv1alpha1.FluxConfig) field.ErrorList {
	value := k.field.get(c)
	if err := k.checkChoice(value); err != nil {
		return field.ErrorList{err}
	}
	var errs field.ErrorList
	if k.validate != nil {
		errs = append(errs, k.validate(value, k.path())...)
	}
	if k.validateTogether != nil {
		errs = append(errs, k.validateTogether(c.Repository, k.path())...)
	}
	return errs
}

// checkChoice refuses a value that is none of those that the key can have.
func (k *Key) checkChoice(value string) *field.Error {
	if k.OneOf == nil || slices.Contains(k.OneOf, value) {
		return nil
	}
	return field.NotSupported(k.path(), echo(value), k.OneOf)
}

// checkText refuses what can't be seen: it is a copying error at best, and would end up in logs and URLs.
func (k *Key) checkText(value string) *field.Error {
	if limit := cmp.Or(k.MaxLength, DefaultMaxLength); len(value) > limit {
		return field.TooLong(k.path(), "", limit)
	}
	if !utf8.ValidString(value) {
		return field.Invalid(k.path(), field.OmitValueType{}, "it is not UTF-8 text: type it again")
	}
	position := 0
	for _, r := range value {
		position++
		if unicode.IsPrint(r) || k.multiline && strings.ContainsRune("\n\r\t", r) {
			continue
		}
		return field.Invalid(k.path(), field.OmitValueType{},
			fmt.Sprintf("character %d is invisible (%U): type the value again", position, r))
	}
	return nil
}

// echo shortens a value that an error repeats.
func echo(value string) string {
	if utf8.RuneCountInString(value) <= maxEchoLength {
		return value
	}
	return string([]rune(value)[:maxEchoLength]) + "…"
}
