// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import "context"

// source is a place that releases come from.
type source interface {
	// where tells where the source looks for a version, without passwords.
	where(version string) string
	// get returns a release. The error tells where it looked. It is a notFoundError if the source does not have the
	// release, a refusedError if what it has can't be used, a localError if this machine is the reason, and any other
	// if the source can't be asked.
	get(ctx context.Context, version string) (*Release, error)
}
