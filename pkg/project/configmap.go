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

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
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
	// maxKeys is far more than there are known keys, and few enough to say of each unknown one what was probably meant.
	maxKeys = 32
	// maxValueLength in bytes is far beyond what Git servers and file systems accept.
	maxValueLength = 2048
	// maxEchoLength in characters keeps error sentences readable.
	maxEchoLength = 64
)

// Parse reads ConfigMap flux-config. The Configuration is complete and valid.
//
// The error lists the problems, in the order of the keys, and has at most about 1 kB: what it leaves out, it counts. Each problem
// names its key, says what is wrong and what to write, and none repeats a password or token.
//
// Whatever is in the ConfigMap and is not understood is a problem: what runs must not change because something could not be read.
func Parse(configMap *corev1.ConfigMap) (*Configuration, error) {
	if count := len(configMap.Data) + len(configMap.BinaryData); count > maxKeys {
		return nil, fmt.Errorf("it has %d keys, of which only these are read: %s; remove the others", count, strings.Join(keys, ", "))
	}
	values, errs := readValues(configMap)
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
		return nil, summarise(errs)
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
func readValues(configMap *corev1.ConfigMap) (map[string]string, field.ErrorList) {
	values := map[string]string{}
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(configMap.Data)) {
		path := field.NewPath(key)
		if !slices.Contains(keys, key) {
			errs = append(errs, unknownKey(key))
			continue
		}
		value := strings.TrimSpace(configMap.Data[key])
		if err := checkText(key, value, path); err != nil {
			errs = append(errs, err)
			continue
		}
		if value != "" {
			values[key] = value
		}
	}
	return values, append(errs, refuseBinary(configMap.BinaryData)...)
}

// refuseBinary refuses all that kubectl takes for binary, which is every file that is not UTF-8 text: with one as UTF-16, the
// repository would be taken for not written, and would be removed from the shoots.
func refuseBinary(data map[string][]byte) field.ErrorList {
	var errs field.ErrorList
	for _, key := range slices.Sorted(maps.Keys(data)) {
		if !slices.Contains(keys, key) {
			errs = append(errs, unknownKey(key))
			continue
		}
		errs = append(errs, field.Invalid(field.NewPath(key), field.OmitValueType{},
			"it is in binaryData, where kubectl puts a file that is not UTF-8 text: save the file as UTF-8, and make the ConfigMap from it again"))
	}
	return errs
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
		limit = knownhosts.MaxLength
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
