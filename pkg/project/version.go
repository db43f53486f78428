// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

func normaliseVersion(text string) string {
	if !isRelease(text) {
		return text
	}
	return "v" + strings.TrimPrefix(text, "v")
}

// isRelease tells whether text names one release, "v" before it or not.
func isRelease(text string) bool {
	_, err := version.Parse(text)
	return err == nil
}

// FluxVersionFloats tells whether the version stands for another release when Flux has a new one.
func FluxVersionFloats(c *fluxv1alpha1.FluxConfig) bool {
	return !isRelease(c.Flux.Version)
}

func validateVersion(text string, path *field.Path) field.ErrorList {
	if text == VersionLatest || isRelease(text) {
		return nil
	}
	if _, err := version.ParseRange(text); err != nil {
		return field.ErrorList{field.Invalid(path, echo(text), `write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`)}
	}
	return nil
}
