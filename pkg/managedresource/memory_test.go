// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource_test

import (
	"runtime"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// maxSerializing is enough to compress some kilobytes.
const maxSerializing = 1 << 20

// Each shoot costs it at each change.
func TestSerializeTakesLittleMemory(t *testing.T) {
	secret := &corev1.Secret{Data: map[string][]byte{"identity": []byte("of a project")}}
	secret.Namespace, secret.Name = "flux-system", "flux-system"
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	_, err := managedresource.Serialize([]client.Object{secret})
	runtime.ReadMemStats(&after)
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after.TotalAlloc - before.TotalAlloc).To(BeNumerically("<", maxSerializing))
}
