// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/mod/semver"
)

// REUSE-IgnoreStart
const listHeader = `# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# The Flux releases that are embedded in the extension, one tag a line. The one that go.mod requires must be among them.
# To add one: make embed-release RELEASE=v2.9.4. To remove one: delete its line, then go run ./hack/flux-manifests -pin.
`

// REUSE-IgnoreEnd

// releaseTag matches the tags of releases whose Go module can be had by its path: Flux 2, no pre-releases.
var releaseTag = regexp.MustCompile(`^v2\.(0|[1-9][0-9]*)\.(0|[1-9][0-9]*)$`)

// readList returns the tags in a list of releases, oldest first.
func readList(path string) ([]string, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var versions []string
	for line := range strings.Lines(string(data)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if versions, err = addRelease(versions, line); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
	}
	return versions, nil
}

func writeList(path string, versions []string) error {
	return os.WriteFile(path, []byte(listHeader+strings.Join(versions, "\n")+"\n"), 0o644)
}

// addRelease returns the versions with one more, oldest first. It is no mistake if it is there already.
func addRelease(versions []string, tag string) ([]string, error) {
	if !releaseTag.MatchString(tag) {
		return nil, fmt.Errorf("%q is not the tag of a release of Flux 2: write it as v2.9.4", tag)
	}
	if slices.Contains(versions, tag) {
		return versions, nil
	}
	versions = append(slices.Clone(versions), tag)
	semver.Sort(versions)
	return versions, nil
}

// checkListed makes sure that the release that the extension is compiled against is embedded.
func checkListed(versions []string, required string) error {
	if !slices.Contains(versions, required) {
		return fmt.Errorf("%s lacks %s, which go.mod requires: run make embed-release RELEASE=%s", releasesFile, required, required)
	}
	return nil
}
