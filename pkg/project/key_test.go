// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// knownKeys is how sentences list them.
func knownKeys() string {
	var names []string
	for _, key := range Keys() {
		names = append(names, key.Name)
	}
	return strings.Join(names, ", ")
}

// dataOf is a ConfigMap in which the key may have the value.
func dataOf(key Key, value string) map[string]string {
	data := map[string]string{key.Name: value}
	if key.Repository && value == "private" {
		data["repositoryUrl"] = sshURL
	} else if key.Repository {
		data["repositoryUrl"] = httpsURL
	}
	return data
}

// defaulted is a Configuration in which each field has its default.
func defaulted(repository *Repository) *Configuration {
	config := &Configuration{Repository: repository}
	config.Default()
	return config
}

func TestKeysAreSound(t *testing.T) {
	g := NewWithT(t)
	var names []string
	for _, key := range Keys() {
		g.Expect(key.Name).To(MatchRegexp(`^[a-z][A-Za-z]+$`))
		g.Expect(key.Meaning).NotTo(BeEmpty(), key.Name)
		// They become part of a row of a table, and of CEL.
		g.Expect(key.Meaning+key.Without).NotTo(ContainSubstring("|"), key.Name)
		for _, value := range key.OneOf {
			g.Expect(value).To(MatchRegexp(`^[a-z-]+$`), key.Name)
		}
		if key.OneOf != nil {
			g.Expect(key.OneOf).To(ContainElement(key.Default), key.Name)
		}
		g.Expect(key.Default != "" && key.Without != "").To(BeFalse(), key.Name)
		names = append(names, key.Name)
	}
	g.Expect(slices.Compact(slices.Sorted(slices.Values(names)))).To(HaveLen(len(names)))
}

func TestDefaults(t *testing.T) {
	g := NewWithT(t)
	g.Expect(defaulted(&Repository{})).To(Equal(&Configuration{
		FluxVersion: "latest", Repository: &Repository{Branch: "main", Path: "./"},
		Installation: fluxv1alpha1.InstallationManaged, RemovalPolicy: fluxv1alpha1.RemovalKeepWorkloads,
	}))
}

// otherThanDefault is a value that the field can hold, and that is not its default.
func otherThanDefault(key Key) string {
	for _, value := range key.OneOf {
		if value != key.Default {
			return value
		}
	}
	return "x"
}

// TestEachFieldHasItsKey: a field without a key would be missing in the digest, and two keys must not have the same field.
func TestEachFieldHasItsKey(t *testing.T) {
	g := NewWithT(t)
	defaults := defaulted(&Repository{})
	all := map[string]bool{}
	for _, key := range Keys() {
		config := defaulted(&Repository{})
		key.Set(config, otherThanDefault(key))
		changed := changedFields(*defaults, *config)
		g.Expect(changed).To(HaveLen(1), key.Name)
		g.Expect(all).NotTo(HaveKey(changed[0]), key.Name)
		all[changed[0]] = true
	}
	g.Expect(all).To(HaveLen(reflect.TypeFor[Configuration]().NumField() - 1 + reflect.TypeFor[Repository]().NumField()))
}

// changedFields are the names of the fields, also of the Repository, that differ.
func changedFields(a, b Configuration) []string {
	var names []string
	compare := func(x, y reflect.Value) {
		for i := range x.NumField() {
			if name := x.Type().Field(i).Name; name != "Repository" && !x.Field(i).Equal(y.Field(i)) {
				names = append(names, x.Type().Name()+"."+name)
			}
		}
	}
	compare(reflect.ValueOf(a), reflect.ValueOf(b))
	compare(reflect.ValueOf(*a.Repository), reflect.ValueOf(*b.Repository))
	return names
}

func TestChoices(t *testing.T) {
	for _, key := range Keys() {
		if key.OneOf == nil {
			continue
		}
		t.Run(key.Name, func(t *testing.T) {
			g := NewWithT(t)
			for _, value := range key.OneOf {
				config, err := parse(dataOf(key, value))
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(Write(config)).To(HaveKeyWithValue(key.Name, value))
			}
			_, err := parse(dataOf(key, "other"))
			g.Expect(err).To(MatchError(key.Name + `: Unsupported value: "other": supported values: "` + strings.Join(key.OneOf, `", "`) + `"`))
		})
	}
}

func TestShootKeys(t *testing.T) {
	g := NewWithT(t)
	var fields []string
	for field := range reflect.TypeFor[fluxv1alpha1.FluxConfig]().Fields() {
		if name, _, _ := strings.Cut(field.Tag.Get("json"), ","); name != "" {
			fields = append(fields, name)
		}
	}
	g.Expect(ShootKeys()).To(Equal(fields), "the fields of a FluxConfig are the keys of the same names")
}
