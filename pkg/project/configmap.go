// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// ConfigMapName is the ConfigMap in a project's namespace of the garden that holds its configuration.
const ConfigMapName = "flux-config"

// The keys of the ConfigMap.
const (
	keyVersion        = "fluxVersion"
	keyAllowDowngrade = "allowDowngrade"
	keyURL            = "repositoryUrl"
	keyBranch         = "repositoryBranch"
	keyType           = "repositoryType"
	keyPath           = "repositoryPath"
	keyKnownHosts     = "knownHosts"
	keyInstallation   = "installation"
	keyRemovalPolicy  = "removalPolicy"
)

// keys is also the order in which problems are reported.
var keys = []string{keyVersion, keyAllowDowngrade, keyURL, keyBranch, keyType, keyPath, keyKnownHosts, keyInstallation, keyRemovalPolicy}

// repositoryKeys are those that say something about the repository.
var repositoryKeys = []string{keyURL, keyBranch, keyType, keyPath, keyKnownHosts}

const (
	typePrivate = "private"
	typePublic  = "public"

	allow  = "true"
	refuse = "false"
)

const (
	// maxValueLength in bytes is far beyond what Git servers and file systems accept.
	maxValueLength = 2048
	// maxKnownHostsLength in bytes is room for about a hundred keys.
	maxKnownHostsLength = 64 << 10
	// maxEchoLength in characters keeps error sentences readable.
	maxEchoLength = 64
)

// Parse reads the data of ConfigMap flux-config. The Configuration is complete and valid.
//
// The error lists all problems, in the order of the keys. Each one names its key, says what is wrong and
// what to write, and none repeats a password or token.
func Parse(data map[string]string) (*Configuration, error) {
	values, errs := readValues(data)
	config, typeErrs := newConfiguration(values)
	errs = append(errs, typeErrs...)

	config.Default()
	for _, err := range config.Validate() {
		// What can't be read was replaced by nothing, and is already reported.
		if !slices.ContainsFunc(errs, func(e *field.Error) bool { return e.Field == err.Field }) {
			errs = append(errs, err)
		}
	}
	if len(errs) > 0 {
		slices.SortStableFunc(errs, func(a, b *field.Error) int { return order(a.Field) - order(b.Field) })
		return nil, errs.ToAggregate()
	}
	return config, nil
}

// order puts unknown keys, which are already sorted, behind the known ones.
func order(key string) int {
	if i := slices.Index(keys, key); i >= 0 {
		return i
	}
	return len(keys)
}

// readValues gives the values of known keys that are not empty.
//
// White space around a value is dropped: a YAML block scalar ends with a line end, and a copied value
// often with a blank, and neither ever belongs to a URL, a branch, a version or a path.
func readValues(data map[string]string) (map[string]string, field.ErrorList) {
	values := map[string]string{}
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(data)) {
		path := field.NewPath(key)
		if !slices.Contains(keys, key) {
			errs = append(errs, unknownKey(key))
			continue
		}
		value := strings.TrimSpace(data[key])
		if err := checkText(key, value, path); err != nil {
			errs = append(errs, err)
			continue
		}
		if value != "" {
			values[key] = value
		}
	}
	return values, errs
}

// newConfiguration only changes the form. Repository is set as soon as one of its keys is written.
func newConfiguration(values map[string]string) (*Configuration, field.ErrorList) {
	config := &Configuration{
		FluxVersion:    values[keyVersion],
		AllowDowngrade: values[keyAllowDowngrade] == allow,
		Installation:   fluxv1alpha1.InstallationMode(values[keyInstallation]),
		RemovalPolicy:  fluxv1alpha1.RemovalPolicy(values[keyRemovalPolicy]),
	}
	errs := checkChoice(values, keyAllowDowngrade, allow, refuse)
	if !slices.ContainsFunc(repositoryKeys, func(key string) bool { return values[key] != "" }) {
		return config, errs
	}
	config.Repository = &Repository{
		URL:        values[keyURL],
		Branch:     values[keyBranch],
		Path:       values[keyPath],
		Private:    values[keyType] == typePrivate,
		KnownHosts: values[keyKnownHosts],
	}
	return config, append(errs, checkChoice(values, keyType, typePrivate, typePublic)...)
}

// checkChoice refuses a value that is written but is none of those that the key can have.
func checkChoice(values map[string]string, key string, supported ...string) field.ErrorList {
	if value, ok := values[key]; ok && !slices.Contains(supported, value) {
		return field.ErrorList{field.NotSupported(field.NewPath(key), echo(value), supported)}
	}
	return nil
}

// checkText refuses what can't be seen: it is a copying error at best, and would end up in logs and URLs.
func checkText(key, value string, path *field.Path) *field.Error {
	limit := maxValueLength
	if key == keyKnownHosts {
		limit = maxKnownHostsLength
	}
	if len(value) > limit {
		return field.TooLong(path, "", limit)
	}
	if !utf8.ValidString(value) {
		return field.Invalid(path, field.OmitValueType{}, "it is not UTF-8 text: type it again")
	}
	position := 0
	for _, r := range value {
		position++
		if unicode.IsPrint(r) || key == keyKnownHosts && strings.ContainsRune("\n\r\t", r) {
			continue
		}
		return field.Invalid(path, field.OmitValueType{},
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
