// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux

import "fmt"

// ReferenceKind is a way to say what is read of a source.
type ReferenceKind string

// The ways to say it. Their values are the names in the configuration (repository.<kind>).
const (
	// Branch is a branch of Git.
	Branch ReferenceKind = "branch"
	// Tag is a tag of Git or of a registry.
	Tag ReferenceKind = "tag"
	// SemVer is the newest tag in a range of semantic versions.
	SemVer ReferenceKind = "semver"
	// Commit is a commit of Git.
	Commit ReferenceKind = "commit"
	// RefName is a Git reference by its whole name, such as refs/pull/420/head.
	RefName ReferenceKind = "refName"
	// Digest is an artifact of a registry by its digest.
	Digest ReferenceKind = "digest"
)

// Reference says what is read of a source. The zero value means all that it has.
type Reference struct {
	Kind  ReferenceKind
	Value string
}

// String is the reference in words, such as: branch "main".
func (r Reference) String() string {
	switch r.Kind {
	case "":
		return ""
	case SemVer:
		return fmt.Sprintf("tag in the range %q", r.Value)
	case RefName:
		return fmt.Sprintf("reference %q", r.Value)
	case Digest:
		return fmt.Sprintf("artifact with digest %q", r.Value)
	default:
		return fmt.Sprintf("%s %q", r.Kind, r.Value)
	}
}

// firstReference returns the first that has a value.
func firstReference(references ...Reference) Reference {
	for _, reference := range references {
		if reference.Value != "" {
			return reference
		}
	}
	return Reference{}
}
