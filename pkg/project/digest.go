// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"fmt"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// digestInput is what a digest is made of: what the keys had in the form in which they had it when digests were first stored in seeds. That form
// stays as it is, also if FluxConfig gets another.
type digestInput struct {
	FluxVersion    string
	AllowDowngrade bool `json:",omitempty"`
	Repository     *digestRepository
	Installation   string `json:",omitempty"`
	RemovalPolicy  string `json:",omitempty"`
	// Later has the values of all other keys by their names and of fields by their paths, without those that are the default.
	Later map[string]string `json:",omitempty"`
}

type digestRepository struct {
	URL, Branch, Path string
	Private           bool
	KnownHosts        string
}

// Digest tells two configurations apart, however they were written. It can be the value of a label.
//
// A digest that changes makes each shoot of each seed be reconciled when the extension is upgraded. So it does not depend on keys that
// nobody has written.
func Digest(c *fluxv1alpha1.FluxConfig) string {
	return digest(notDefault(c), c.Repository != nil)
}

// notDefault has the values that are not the default, by key or, of fields without key, by path.
func notDefault(c *fluxv1alpha1.FluxConfig) map[string]string {
	values := map[string]string{}
	for _, key := range keys {
		if !key.applies(c) {
			continue
		}
		if value := key.field.get(c); value != key.Default {
			values[key.Name] = value
		}
	}
	for path, value := range leavesOf(c) {
		if keyOf(path) == nil && value != defaultsWithoutKey[path] {
			values[path] = value
		}
	}
	return values
}

// defaultsWithoutKey are those of fields that have no key, as JSON.
var defaultsWithoutKey = func() map[string]string {
	c := &fluxv1alpha1.FluxConfig{}
	SetDefaults(c)
	return leavesOf(c)
}()

// leavesOf are the values of a FluxConfig, as JSON.
func leavesOf(c *fluxv1alpha1.FluxConfig) map[string]string {
	document := map[string]any{}
	if data, err := json.Marshal(c); err != nil || json.Unmarshal(data, &document) != nil {
		return nil
	}
	values := map[string]string{}
	for path, value := range flatten(document) {
		// Maps are written with their keys in order.
		data, _ := json.Marshal(value)
		values[path] = string(data)
	}
	return values
}

func digest(values map[string]string, hasRepository bool) string {
	take := func(key string) string {
		value := values[key]
		delete(values, key)
		return value
	}
	input := digestInput{
		FluxVersion:    cmp.Or(take(keyVersion), VersionLatest),
		AllowDowngrade: take(keyAllowDowngrade) == allow,
		Installation:   take(keyInstallation),
		RemovalPolicy:  take(keyRemovalPolicy),
	}
	if hasRepository {
		input.Repository = &digestRepository{
			URL:        take(keyURL),
			Branch:     cmp.Or(take(keyBranch), DefaultBranch),
			Path:       cmp.Or(take(keyPath), DefaultPath),
			Private:    take(keyType) == string(fluxv1alpha1.RepositoryPrivate),
			KnownHosts: take(keyKnownHosts),
		}
	}
	input.Later = values
	// Strings and bools can always be serialized.
	data, _ := json.Marshal(input)
	return fmt.Sprintf("%x", sha256.Sum224(data))
}
