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
	// Later has the values of all other keys by their names, without those that are the default.
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

// notDefault has the values, by key, that are not the default.
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
