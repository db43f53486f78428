// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package version reads what people write for a release of Flux. All who have to know whether a text names one release or a
// range of them ask here, so that they can't differ.
package version

import (
	"errors"
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Latest stands for Flux's latest release.
const Latest = "latest"

// Parse parses one version as https://semver.org has it, with or without a leading v. Build metadata is refused: no release of
// Flux has any, and it has no place in the order of versions, nor in the tag of an OCI artifact.
func Parse(text string) (*semver.Version, error) {
	parsed, err := semver.StrictNewVersion(strings.TrimPrefix(text, "v"))
	if err == nil && parsed.Metadata() != "" {
		err = fmt.Errorf("%q has build metadata", text)
	}
	if err != nil {
		return nil, err
	}
	return parsed, nil
}

// ParseRange parses a range of versions as github.com/Masterminds/semver reads it, such as "2.x" or ">=2.6 <2.9". Build metadata
// is refused, which that would ignore: what Parse refuses for it must not become a range.
func ParseRange(text string) (*semver.Constraints, error) {
	if strings.Contains(text, "+") {
		return nil, errors.New("a range has no build metadata")
	}
	return semver.NewConstraint(text)
}

// IsTag tells whether a text is the tag of a release, which has a leading v. It refuses everything else, and so keeps that out
// of URLs, references and paths.
func IsTag(text string) bool {
	_, err := Parse(text)
	return err == nil && strings.HasPrefix(text, "v")
}

// Tag returns the tag of the release with a version.
func Tag(parsed *semver.Version) string {
	return "v" + parsed.String()
}

// ParseTags leaves out what is not the tag of a release.
func ParseTags(tags []string) []*semver.Version {
	var parsed []*semver.Version
	for _, tag := range tags {
		if IsTag(tag) {
			parsed = append(parsed, semver.MustParse(tag))
		}
	}
	return parsed
}
