// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// unwritten has the Extensions, as the seed has them, whose status an operation has changed in memory only. That is written with the next write of
// the status: at the latest with the one by which Gardener's library tells how the operation has ended (extensionClient).
type unwritten struct {
	extensions sync.Map
}

// begin is called before the status is changed in memory.
func (u *unwritten) begin(ex *extensionsv1alpha1.Extension) {
	u.extensions.LoadOrStore(client.ObjectKeyFromObject(ex), ex.DeepCopy())
}

// asInSeed returns an Extension as the seed has it.
func (u *unwritten) asInSeed(ex *extensionsv1alpha1.Extension) *extensionsv1alpha1.Extension {
	if before, ok := u.extensions.Load(client.ObjectKeyFromObject(ex)); ok {
		return before.(*extensionsv1alpha1.Extension)
	}
	return ex.DeepCopy()
}

// forget is called when the status has been written, or the operation is over.
func (u *unwritten) forget(ex *extensionsv1alpha1.Extension) {
	u.extensions.Delete(client.ObjectKeyFromObject(ex))
}
