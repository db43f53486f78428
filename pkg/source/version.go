// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"strings"

	"k8s.io/apimachinery/pkg/types"
)

// VersionOf tells apart the versions of all Secrets flux-source that a project has ever had: "<UID>.<resource version>". It can be the
// value of a label.
func VersionOf(uid types.UID, resourceVersion string) string {
	return string(uid) + "." + resourceVersion
}

// IsOlder tells whether two different versions are of the same Secret. Of a Secret that was made anew, none is.
func IsOlder(version, current string) bool {
	uid, _, _ := strings.Cut(version, ".")
	return version != current && strings.HasPrefix(current, uid+".")
}
