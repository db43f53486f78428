// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

// An API server drops what a release does not know of an object. What somebody wrote as a repository must not go so: the shoot would follow
// something else, or take what nobody signed. Of a template, only what says whose signatures count is that important.

const (
	fieldVerify         = "spec.verify"
	fieldIdentity       = fieldVerify + ".matchOIDCIdentity"
	fieldRefName        = "spec.ref.name"
	fieldProvider       = "spec.provider"
	fieldDeletionPolicy = "spec.deletionPolicy"
)

// laterFields are fields that not every release knows that has their kind, and since when (CHANGELOG.md of source-controller).
var laterFields = []struct {
	kind, field string
	since       *semver.Version
}{
	{flux.OCIRepository.Kind, fieldVerify, minor(0, 35)},                          // source-controller v0.30.0
	{flux.OCIRepository.Kind, fieldIdentity, minor(2, 2)},                         // source-controller v1.2.0
	{flux.OCIRepository.Kind, fieldVerify + ".trustedRootSecretRef", minor(2, 9)}, // source-controller v1.9.0
	{flux.GitRepository.Kind, fieldRefName, minor(0, 40)},                         // source-controller v0.35.0
	{flux.GitRepository.Kind, fieldProvider, minor(2, 5)},                         // source-controller v1.5.0, for GitHub Apps
}

func minor(major, minor uint64) *semver.Version { return semver.New(major, minor, 0, "", "") }

// knownSince is the oldest release that knows a field of an object with all that the object has below it, or nil if that is not known.
func knownSince(object *unstructured.Unstructured, field string) *semver.Version {
	var since *semver.Version
	for _, later := range laterFields {
		if later.kind != object.GetKind() || later.field != field && !strings.HasPrefix(later.field, field+".") {
			continue
		}
		_, has, _ := unstructured.NestedFieldNoCopy(object.Object, strings.Split(later.field, ".")...)
		if has && (since == nil || since.LessThan(later.since)) {
			since = later.since
		}
	}
	return since
}

// checkShortForm refuses fields that the release does not know of an object that stands for the repository. Only what the extension itself adds
// may go.
func (w Wanted) checkShortForm(object *unstructured.Unstructured, unknown []string) error {
	for _, field := range unknown {
		if !strings.HasPrefix(field, "spec.") || field == fieldDeletionPolicy {
			continue
		}
		remedy := ""
		if field == fieldIdentity {
			remedy = fmt.Sprintf(", or write %s in their place", w.Origins.Beside(project.FieldVerifyKeys, project.FieldVerifyIssuer))
		}
		return w.unknownField(object, field, w.nameOf(object, field), w.upgrade()+remedy)
	}
	return nil
}

// checkTemplate refuses fields of a template that the release does not know and that say whose signatures count.
func (w Wanted) checkTemplate(object *unstructured.Unstructured, template string, unknown []string) error {
	verifies := func(field string) bool { return field == fieldVerify || strings.HasPrefix(field, fieldVerify+".") }
	n := slices.IndexFunc(unknown, verifies)
	if n < 0 {
		return nil
	}
	return w.unknownField(object, unknown[n], template+"."+unknown[n]+" in "+w.Origins.Of(template).Place(""), "correct it, or "+w.upgrade())
}

// unknownField says that the release does not know a field of an object, which was written as name.
func (w Wanted) unknownField(object *unstructured.Unstructured, field, name, remedy string) error {
	since := knownSince(object, field)
	if has, err := version.Parse(w.Release); since != nil && (err != nil || has.LessThan(since)) {
		name += ", which Flux has since " + version.Tag(since)
	}
	if w.Release == "" {
		return fmt.Errorf("the Flux of the shoot does not know %s: %s", name, remedy)
	}
	return fmt.Errorf("the Flux of the shoot (%s) does not know %s: %s", w.Release, name, remedy)
}

// upgrade says how the shoot gets a newer release.
func (w Wanted) upgrade() string { return w.Origins.Upgrade(w.FluxOfUsers, w.Config.SyncMode) }

// references are the fields of a repository that fields of spec.ref stand for.
var references = map[string]string{
	"branch": project.FieldBranch, "tag": project.FieldTag, "semver": project.FieldSemver, "commit": project.FieldCommit, "name": project.FieldRefName, "digest": project.FieldDigest,
}

// nameOf says what a field of an object that stands for the repository was written as, and where.
func (w Wanted) nameOf(object *unstructured.Unstructured, field string) string {
	reference := references[strings.TrimPrefix(field, "spec.ref.")]
	switch repository := w.Config.Repository; {
	case field == fieldIdentity, field == fieldVerify && repository.Verify != nil && repository.Verify.Keys == "":
		return fmt.Sprintf("%s and %s", w.Origins.Of(project.FieldVerifyIssuer), w.Origins.Of(project.FieldVerifySubject))
	case field == fieldVerify || strings.HasPrefix(field, fieldVerify+"."):
		return w.Origins.Of(project.FieldVerifyKeys).String()
	case field == fieldProvider && w.Credentials != nil:
		return fmt.Sprintf("GitHub Apps, such as the one of Secret %s", w.Credentials.SecretRef.Name)
	case strings.HasPrefix(field, "spec.ref.") && reference != "":
		return w.Origins.Of(reference).String()
	}
	return field + " of the " + object.GetKind()
}
