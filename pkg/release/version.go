// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// Latest requests the release that the release server calls the latest.
const Latest = version.Latest

// parseTag parses the tag of a release, which has a leading v. It refuses everything else, and so keeps that out of
// URLs, references and paths.
func parseTag(tag string) (*semver.Version, error) {
	if !strings.HasPrefix(tag, "v") {
		return nil, fmt.Errorf("%q has no leading v", tag)
	}
	return version.Parse(tag)
}

func isTag(tag string) bool {
	_, err := parseTag(tag)
	return err == nil
}

func tagOf(version *semver.Version) string {
	return "v" + version.String()
}

// parseTags leaves out what is not the tag of a release.
func parseTags(tags []string) semver.Collection {
	var versions semver.Collection
	for _, tag := range tags {
		if version, err := parseTag(tag); err == nil {
			versions = append(versions, version)
		}
	}
	return versions
}
