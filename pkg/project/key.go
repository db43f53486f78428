// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"slices"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/utils/ptr"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

const (
	// MaxKeys is far more than there are known keys, and few enough to say of each unknown one what was probably meant.
	MaxKeys = 32
	// DefaultMaxLength of a value in bytes is far beyond what Git servers and file systems accept.
	DefaultMaxLength = 2048
)

// Key is a key of ConfigMap flux-config: shorthand for a field of FluxConfig.
type Key struct {
	// Name is the key.
	Name string
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
	// Repository tells that the key says something about the repository.
	Repository bool

	// multiline allows line ends and tabs.
	multiline bool
	// field is what the key stands for. That of the repository may only be used if there is one.
	field fieldAccess
	// normalise brings the field into its normal form. A value that has none, because it is invalid, stays as it is. May be nil.
	normalise func(*fluxv1alpha1.FluxConfig)
	// validate checks a value by itself. It need not look at OneOf. May be nil.
	validate func(value string, path *field.Path) field.ErrorList
	// validateTogether checks the field against those of other keys of the repository. May be nil.
	validateTogether func(*fluxv1alpha1.Repository, *field.Path) field.ErrorList
	// shoot is what the owner of a shoot has written in its place, or nil if that can't be.
	shoot func(*fluxv1alpha1.FluxConfig) string
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
		set: func(c *fluxv1alpha1.FluxConfig, value string) { *field(c) = ptr.To(value == allow) },
	}
}

// Keys are all keys of ConfigMap flux-config, in the order in which problems are reported.
func Keys() []Key {
	return slices.Clone(keys)
}

// ShootKeys are the keys that a FluxConfig has a field for, of the same name.
func ShootKeys() []string {
	var names []string
	for _, key := range keys {
		if key.shoot != nil {
			names = append(names, key.Name)
		}
	}
	return names
}

// indexOf a key in the table, or -1.
func indexOf(name string) int {
	return slices.IndexFunc(keys, func(key Key) bool { return key.Name == name })
}

func joinKeys() string {
	names := make([]string, len(keys))
	for i, key := range keys {
		names[i] = key.Name
	}
	return strings.Join(names, ", ")
}

func (k *Key) path() *field.Path {
	return field.NewPath(k.Name)
}

// applies tells whether the configuration has the field that the key stands for.
func (k *Key) applies(c *fluxv1alpha1.FluxConfig) bool {
	return !k.Repository || c.Repository != nil
}
