// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import "strings"

const branchPrefix = "refs/heads/"

// validateBranch follows git-check-ref-format(1) with --branch.
func validateBranch(branch string) detail {
	if problem := branchProblem(branch); problem != "" {
		return invalid(echo(branch), problem)
	}
	return nil
}

func branchProblem(branch string) string {
	switch {
	case strings.HasPrefix(branch, branchPrefix):
		return `write the branch without "` + branchPrefix + `"`
	case branch == "HEAD" || branch == "@":
		return "Git does not accept this name: write the name of a branch"
	}
	return refProblem("branch", branch)
}

// refProblem is what git-check-ref-format(1) has against a name of this kind.
func refProblem(kind, name string) string {
	switch {
	case strings.HasPrefix(name, "-"):
		return "a " + kind + ` must not start with "-"`
	case strings.HasSuffix(name, "."):
		return "a " + kind + ` must not end with "."`
	case strings.Contains(name, ".."):
		return "a " + kind + ` must not contain ".."`
	case strings.Contains(name, "@{"):
		return "a " + kind + ` must not contain "@{"`
	}
	if i := strings.IndexAny(name, ` ~^:?*[\`); i >= 0 {
		return "a " + kind + ` must not contain "` + name[i:i+1] + `"`
	}
	for component := range strings.SplitSeq(name, "/") {
		switch {
		case component == "":
			return "a " + kind + ` must not start or end with "/", nor contain "//"`
		case strings.HasPrefix(component, "."):
			return "no part of a " + kind + ` may start with "."`
		case strings.HasSuffix(component, ".lock"):
			return "no part of a " + kind + ` may end with ".lock"`
		}
	}
	return ""
}
