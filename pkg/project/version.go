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

func validateVersion(version string, path *field.Path) field.ErrorList {
	if version == VersionLatest || isRelease(version) {
		return nil
	}
	detail := `write a release with all its three numbers such as "v2.9.4", or "latest"`
	if _, err := semver.NewConstraint(version); err == nil && strings.ContainsAny(version, "xX*^~<>=!,| ") {
		detail = `ranges of versions are not supported: write one release such as "v2.9.4", or "latest"`
	}
	return field.ErrorList{field.Invalid(path, echo(version), detail)}
}
