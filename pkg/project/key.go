// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"slices"
	"strconv"
	"strings"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	// MaxKeys is far more than there are known keys, and few enough to say of each unknown one what was probably meant.
	MaxKeys = 32
	// DefaultMaxLength of a value in bytes is far beyond what Git servers and file systems accept.
	DefaultMaxLength = 2048
)

// Key is a key of ConfigMap flux-config.
type Key struct {
	// Name is the key.
	Name string
	// Field is the path of the field of FluxConfig that the key is shorthand for, or "" if it stands for none.
	Field string
	// Meaning is for people, as Markdown of the README.
	Meaning string
	// Default is the value that counts if none is written, or "" if there is none.
	Default string
	// Without says, as Markdown, what happens without a value, if there is no Default.
	Without string
	// OneOf has the only values that it can have, or is nil.
	OneOf []string
	// MaxLength of a value in bytes, or 0 for DefaultMaxLength.
	MaxLength int

	// multiline allows line ends and tabs.
	multiline bool
	// field is what the key stands for, if it stands for any. That of the repository may only be used if there is one.
	field fieldAccess
	// without tells that the field has no default in this FluxConfig. May be nil.
	without func(*fluxv1alpha1.FluxConfig) bool
	// normalise brings the field into its normal form. A value that has none, because it is invalid, stays as it is. May be nil.
	normalise func(*fluxv1alpha1.FluxConfig)
	// validate checks a value by itself. It need not look at OneOf, nor at what is not written. May be nil.
	validate func(value string) detail
	// validateTogether checks the field against others. May be nil.
	validateTogether func(*fluxv1alpha1.FluxConfig, naming) detail
	// together are the paths of those others. Of all of them and the field, the highest layer is the one to repair.
	together []string
}

// fieldAccess reads and writes a field of FluxConfig as it is written in the ConfigMap.
type fieldAccess struct {
	get func(*fluxv1alpha1.FluxConfig) string
	set func(*fluxv1alpha1.FluxConfig, string)
}

func text[T ~string](field func(*fluxv1alpha1.FluxConfig) *T) fieldAccess {
	return fieldAccess{
		get: func(c *fluxv1alpha1.FluxConfig) string { return string(*field(c)) },
		set: func(c *fluxv1alpha1.FluxConfig, value string) { *field(c) = T(value) },
	}
}

// yesOrNo is for a field that is written as true or false.
func yesOrNo(field func(*fluxv1alpha1.FluxConfig) **bool) fieldAccess {
	return fieldAccess{
		get: func(c *fluxv1alpha1.FluxConfig) string {
			if value := *field(c); value != nil {
				return strconv.FormatBool(*value)
			}
			return ""
		},
		set: func(c *fluxv1alpha1.FluxConfig, value string) { *field(c) = new(value == allow) },
	}
}

// verification is for a field of Verification, which is there as soon as one of its fields is.
func verification(field func(*fluxv1alpha1.Verification) *string) fieldAccess {
	return fieldAccess{
		get: func(c *fluxv1alpha1.FluxConfig) string {
			if c.Repository.Verify == nil {
				return ""
			}
			return *field(c.Repository.Verify)
		},
		set: func(c *fluxv1alpha1.FluxConfig, value string) {
			if c.Repository.Verify == nil && value != "" {
				c.Repository.Verify = &fluxv1alpha1.Verification{}
			}
			if c.Repository.Verify != nil {
				*field(c.Repository.Verify) = value
			}
		},
	}
}

// Keys are all keys of ConfigMap flux-config, in the order in which problems are reported.
func Keys() []Key {
	return slices.Clone(keys)
}

// indexOf a key in the table, or -1.
func indexOf(name string) int {
	return slices.IndexFunc(keys, func(key Key) bool { return key.Name == name })
}

// keyOf is the key that stands for a field, or nil.
func keyOf(path string) *Key {
	if i := slices.IndexFunc(keys, func(key Key) bool { return key.Field == path }); i >= 0 {
		return &keys[i]
	}
	return nil
}

func joinKeys() string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	return strings.Join(names, ", ")
}

// IsOfRepository tells whether the key says something about the repository.
func (k *Key) IsOfRepository() bool {
	return strings.HasPrefix(k.Field, "repository.")
}

// IsReference tells whether the key says what of the repository to follow. Of those, one can be written.
func (k *Key) IsReference() bool { return isReference(k.Field) }

// applies tells whether the FluxConfig has the field that the key stands for. Beside a template, only the path is left of the repository.
func (k *Key) applies(c *fluxv1alpha1.FluxConfig) bool {
	switch {
	case k.Field == "":
		return false
	case !k.IsOfRepository():
		return true
	case k.Field == fieldPath:
		return c.Repository != nil && c.Kustomization == nil
	}
	return c.Repository != nil && c.Source == nil
}
