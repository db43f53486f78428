// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"path"
	"slices"
	"strings"
)

func normalisePath(directory string) string {
	if pathProblem(directory) != "" {
		return directory
	}
	clean := path.Clean(directory)
	if clean == "." {
		return DefaultPath
	}
	return "./" + clean
}

func validatePath(directory string) detail {
	if problem := pathProblem(directory); problem != "" {
		return invalid(echo(directory), problem)
	}
	return nil
}

func pathProblem(directory string) string {
	switch {
	case strings.HasPrefix(directory, "/"):
		return `write the directory as seen from the root of the repository, such as "./clusters/production"`
	case strings.Contains(directory, `\`):
		return `separate directories with "/"`
	}
	parts := strings.Split(directory, "/")
	switch {
	case slices.Contains(parts, ".."):
		return `the directory must be inside the repository: write it without ".."`
	case slices.ContainsFunc(parts, func(part string) bool { return strings.TrimSpace(part) != part }):
		return `no part of the path may start or end with a blank`
	}
	return ""
}
