// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/utils/ptr"

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
func defaulted(repository *fluxv1alpha1.Repository) *fluxv1alpha1.FluxConfig {
	config := &fluxv1alpha1.FluxConfig{Repository: repository}
	SetDefaults(config)
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
	g.Expect(defaulted(&fluxv1alpha1.Repository{})).To(Equal(&fluxv1alpha1.FluxConfig{
		Flux: fluxv1alpha1.FluxInstallation{Version: "latest", AllowDowngrade: ptr.To(false), Namespace: "flux-system",
			Components: []string{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"}},
		Repository:   &fluxv1alpha1.Repository{Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPublic},
		Installation: fluxv1alpha1.InstallationManaged, SyncMode: fluxv1alpha1.SyncManaged, RemovalPolicy: fluxv1alpha1.RemovalKeepWorkloads,
		Suspend: ptr.To(false),
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

// TestEachKeyHasItsField: two keys must not have the same one.
func TestEachKeyHasItsField(t *testing.T) {
	g := NewWithT(t)
	defaults := leaves(g, defaulted(&fluxv1alpha1.Repository{}))
	all := map[string]bool{}
	for _, key := range Keys() {
		config := defaulted(&fluxv1alpha1.Repository{})
		key.Set(config, otherThanDefault(key))
		var changed []string
		for path, value := range leaves(g, config) {
			if defaults[path] != value {
				changed = append(changed, path)
			}
		}
		g.Expect(changed).To(HaveLen(1), key.Name)
		g.Expect(all).NotTo(HaveKey(changed[0]), key.Name)
		all[changed[0]] = true
	}
}

// leaves are the values of a FluxConfig that are written, by their paths.
func leaves(g *WithT, config *fluxv1alpha1.FluxConfig) map[string]string {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(config)
	g.Expect(err).NotTo(HaveOccurred())
	found := map[string]string{}
	var collect func(path string, value any)
	collect = func(path string, value any) {
		if fields, ok := value.(map[string]any); ok {
			for name, value := range fields {
				collect(path+"."+name, value)
			}
			return
		}
		found[path] = fmt.Sprint(value)
	}
	collect("", fields)
	return found
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
	g.Expect(ShootKeys()).To(Equal([]string{"installation", "removalPolicy"}))
}
