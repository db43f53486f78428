// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"fmt"
	"strings"

	"github.com/Masterminds/semver/v3"
)

// Latest requests the release that the release server calls the latest.
const Latest = "latest"

// parseExact parses one version as https://semver.org has it, with or without a leading v. Build metadata is refused:
// it has no place in the order of versions, nor in the tag of an OCI artifact.
func parseExact(version string) (*semver.Version, error) {
	parsed, err := semver.StrictNewVersion(strings.TrimPrefix(version, "v"))
	if err == nil && parsed.Metadata() != "" {
		err = fmt.Errorf("%q has build metadata", version)
	}
	return parsed, err
}

// parseTag parses the tag of a release, which has a leading v. It refuses everything else, and so keeps that out of
// URLs, references and paths.
func parseTag(tag string) (*semver.Version, error) {
	if !strings.HasPrefix(tag, "v") {
		return nil, fmt.Errorf("%q has no leading v", tag)
	}
	return parseExact(tag)
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
