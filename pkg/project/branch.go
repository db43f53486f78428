// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"
)

const branchPrefix = "refs/heads/"

// validateBranch follows git-check-ref-format(1) with --branch.
func validateBranch(branch string, path *field.Path) field.ErrorList {
	if detail := branchProblem(branch); detail != "" {
		return field.ErrorList{field.Invalid(path, echo(branch), detail)}
	}
	return nil
}

func branchProblem(branch string) string {
	switch {
	case strings.HasPrefix(branch, branchPrefix):
		return `write the branch without "` + branchPrefix + `"`
	case branch == "HEAD" || branch == "@":
		return "Git does not accept this name: write the name of a branch"
	case strings.HasPrefix(branch, "-"):
		return `a branch must not start with "-"`
	case strings.HasSuffix(branch, "."):
		return `a branch must not end with "."`
	case strings.Contains(branch, ".."):
		return `a branch must not contain ".."`
	case strings.Contains(branch, "@{"):
		return `a branch must not contain "@{"`
	}
	if i := strings.IndexAny(branch, ` ~^:?*[\`); i >= 0 {
		return `a branch must not contain "` + branch[i:i+1] + `"`
	}
	for component := range strings.SplitSeq(branch, "/") {
		switch {
		case component == "":
			return `a branch must not start or end with "/", nor contain "//"`
		case strings.HasPrefix(component, "."):
			return `no part of a branch may start with "."`
		case strings.HasSuffix(component, ".lock"):
			return `no part of a branch may end with ".lock"`
		}
	}
	return ""
}
