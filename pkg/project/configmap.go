// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// ConfigMapName is the ConfigMap in a project's namespace of the garden that holds its configuration.
const ConfigMapName = "flux-config"

// Parse reads ConfigMap flux-config. The FluxConfig is complete and valid.
//
// The error lists the problems, in the order of the keys, and has at most about 1 kB: what it leaves out, it counts. Each problem
// names its key, says what is wrong and what to write, and none repeats a password or token.
//
// Whatever is in the ConfigMap and is not understood is a problem: what runs must not change because something could not be read.
func Parse(configMap *corev1.ConfigMap) (*fluxv1alpha1.FluxConfig, error) {
	if count := len(configMap.Data) + len(configMap.BinaryData); count > MaxKeys {
		return nil, fmt.Errorf("it has %d keys, of which only these are read: %s; remove the others", count, joinKeys())
	}
	values, errs := readValues(configMap)
	config, typeErrs := newConfiguration(values)
	errs = append(errs, typeErrs...)

	SetDefaults(config)
	for _, err := range Validate(config) {
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
	if i := indexOf(key); i >= 0 {
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
	for _, name := range slices.Sorted(maps.Keys(configMap.Data)) {
		i := indexOf(name)
		if i < 0 {
			errs = append(errs, unknownKey(name))
			continue
		}
		value := strings.TrimSpace(configMap.Data[name])
		if err := keys[i].checkText(value); err != nil {
			errs = append(errs, err)
			continue
		}
		if value != "" {
			values[name] = value
		}
	}
	return values, append(errs, refuseBinary(configMap.BinaryData)...)
}

// refuseBinary refuses all that kubectl takes for binary, which is every file that is not UTF-8 text: with one as UTF-16, the
// repository would be taken for not written, and would be removed from the shoots.
func refuseBinary(data map[string][]byte) field.ErrorList {
	var errs field.ErrorList
	for _, name := range slices.Sorted(maps.Keys(data)) {
		if indexOf(name) < 0 {
			errs = append(errs, unknownKey(name))
			continue
		}
		errs = append(errs, field.Invalid(field.NewPath(name), field.OmitValueType{},
			"it is in binaryData, where kubectl puts a file that is not UTF-8 text: save the file as UTF-8, and make the ConfigMap from it again"))
	}
	return errs
}

// newConfiguration only changes the form. Repository is set as soon as one of its keys is written. What can't be read is left out.
func newConfiguration(values map[string]string) (*fluxv1alpha1.FluxConfig, field.ErrorList) {
	config := &fluxv1alpha1.FluxConfig{}
	var errs field.ErrorList
	for _, key := range keys {
		value, written := values[key.Name]
		if !written {
			continue
		}
		if key.Repository && config.Repository == nil {
			config.Repository = &fluxv1alpha1.Repository{}
		}
		if err := key.checkChoice(value); err != nil {
			errs = append(errs, err)
			continue
		}
		key.field.set(config, value)
	}
	return config, errs
}
