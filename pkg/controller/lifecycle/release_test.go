// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

func TestKeepsVersion(t *testing.T) {
	const told = `{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxStatus","resolvedFor":"first"}`
	operation := func(operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState) *gardencorev1beta1.LastOperation {
		return &gardencorev1beta1.LastOperation{Type: operationType, State: state}
	}
	processing := operation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateProcessing)
	for _, c := range []struct {
		name      string
		last      *gardencorev1beta1.LastOperation
		told      string // what the Extension says
		request   string // of gardenlet
		had, gets string // digests of configurations
		keeps     bool
	}{
		{name: "a new shoot", request: "first", gets: "a"},
		{name: "the configuration was edited", last: processing, told: told, request: "first", had: "a", gets: "b", keeps: true},
		{name: "Gardener asks", last: processing, told: told, request: "second", had: "a", gets: "a"},
		{name: "it floats from now on", last: processing, request: "first", had: "a", gets: "b", keeps: true},
		{
			name: "the shoot comes from another seed", request: "first", gets: "a", keeps: true,
			last: operation(gardencorev1beta1.LastOperationTypeRestore, gardencorev1beta1.LastOperationStateProcessing),
		},
		{
			name: "it came from another seed before, and Gardener asks", told: told, request: "second", had: "a", gets: "a",
			last: operation(gardencorev1beta1.LastOperationTypeRestore, gardencorev1beta1.LastOperationStateSucceeded),
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Annotations: map[string]string{v1beta1constants.GardenerTimestamp: c.request}}}
			ex.Status.LastOperation = c.last
			if c.told != "" {
				ex.Status.ProviderStatus = &runtime.RawExtension{Raw: []byte(c.told)}
			}
			r := &reconciliation{extension: ex, observed: observed{configurationDigest: c.had}, desired: desired{digest: c.gets}}
			NewWithT(t).Expect(r.keepsVersion()).To(Equal(c.keeps))
		})
	}
}
