// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

func normaliseVersion(version string) string {
	if version == "" || version == VersionLatest {
		return VersionLatest
	}
	if !isRelease(version) {
		return version
	}
	return "v" + strings.TrimPrefix(version, "v")
}

// isRelease tells whether version names one release as https://semver.org has it, "v" before it or not.
func isRelease(version string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
	return err == nil
}

// FluxVersionFloats tells whether FluxVersion stands for another release when Flux has a new one.
func (c *Configuration) FluxVersionFloats() bool {
	return !isRelease(c.FluxVersion)
}

func validateVersion(version string, path *field.Path) field.ErrorList {
	if version == VersionLatest || isRelease(version) {
		return nil
	}
	if _, err := semver.NewConstraint(version); err != nil {
		return field.ErrorList{field.Invalid(path, echo(version), `write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`)}
	}
	return nil
}
