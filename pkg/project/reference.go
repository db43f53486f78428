// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

var (
	// artifactTag is a tag of an OCI repository (github.com/opencontainers/distribution-spec).
	artifactTag    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$`)
	commitSHA      = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)
	artifactDigest = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})$`)
)

// hasReference tells whether something else than a branch is followed.
func hasReference(r *fluxv1alpha1.Repository) bool {
	return r.Tag != "" || r.Semver != "" || r.Commit != "" || r.RefName != "" || r.Digest != ""
}

// validateTag accepts what can be a tag of Git. Of artifacts less can be (requireReference).
func validateTag(tag string) detail {
	if strings.HasPrefix(tag, "refs/tags/") {
		return invalid(echo(tag), `write the tag without "refs/tags/"`)
	}
	if problem := refProblem("tag", tag); problem != "" {
		return invalid(echo(tag), problem)
	}
	return nil
}

// validateSemver accepts what Flux does: github.com/Masterminds/semver.
func validateSemver(text string) detail {
	if _, err := semver.NewConstraint(text); err != nil {
		return invalid(echo(text), `write a range of versions, such as "1.x", "~1.4" or ">=1.4.0 <2.0.0"`)
	}
	return nil
}

func validateCommit(sha string) detail {
	if !commitSHA.MatchString(sha) {
		return invalid(echo(sha), "write the whole SHA of the commit, as git rev-parse prints it: 40 digits from 0 to f")
	}
	return nil
}

func validateRefName(name string) detail {
	if !strings.HasPrefix(name, "refs/") {
		return invalid(echo(name), `write the whole name of the reference, such as "refs/heads/main", "refs/tags/v1.0.0" or "refs/pull/420/head"`)
	}
	if problem := refProblem("reference", name); problem != "" {
		return invalid(echo(name), problem)
	}
	return nil
}

func validateDigest(digest string) detail {
	if !artifactDigest.MatchString(digest) {
		return invalid(echo(digest), `write "sha256:" and the 64 digits of the artifact's digest`)
	}
	return nil
}

// onlyForGit refuses a reference that artifacts don't have.
func onlyForGit(field func(*fluxv1alpha1.Repository) string) func(*fluxv1alpha1.FluxConfig, naming) detail {
	return func(c *fluxv1alpha1.FluxConfig, name naming) detail {
		if field(c.Repository) == "" || !c.Repository.IsOCI() {
			return nil
		}
		return forbidden(fmt.Sprintf("it is for Git, and %s starts with oci://: write %s, %s or %s", name(fieldURL), name(fieldTag), name(fieldSemver), name(fieldDigest)))
	}
}

// onlyForArtifacts refuses a reference that Git doesn't have.
func onlyForArtifacts(field func(*fluxv1alpha1.Repository) string) func(*fluxv1alpha1.FluxConfig, naming) detail {
	return func(c *fluxv1alpha1.FluxConfig, name naming) detail {
		if field(c.Repository) == "" || c.Repository.URL == "" || c.Repository.IsOCI() {
			return nil
		}
		return forbidden(fmt.Sprintf("it is for artifacts, and %s does not start with oci://: write %s for Git", name(fieldURL), name(fieldCommit)))
	}
}

// requireReference wants one for artifacts: what Flux takes without, the tag latest, is nothing to rely on.
func requireReference(c *fluxv1alpha1.FluxConfig, name naming) detail {
	r := c.Repository
	switch {
	case !r.IsOCI():
		return nil
	case r.Branch == "" && !hasReference(r):
		return required(fmt.Sprintf("%s starts with oci://, and artifacts are followed by a tag, a range of versions or a digest: write %s, %s or %s",
			name(fieldURL), name(fieldTag), name(fieldSemver), name(fieldDigest)))
	case r.Tag != "" && !artifactTag.MatchString(r.Tag):
		return invalid(echo(r.Tag), `the tag of an artifact has letters, digits, ".", "_" and "-", and 128 characters at most`)
	}
	return nil
}
