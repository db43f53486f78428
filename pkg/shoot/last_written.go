// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// LastWritten is when somebody last changed an object, other than its status: as its API server says.
func LastWritten(object client.Object) time.Time {
	last := object.GetCreationTimestamp().Time
	for _, entry := range object.GetManagedFields() {
		if entry.Subresource == "" && entry.Time != nil && entry.Time.After(last) {
			last = entry.Time.Time
		}
	}
	return last
}
