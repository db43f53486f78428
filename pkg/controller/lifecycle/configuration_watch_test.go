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
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

func operation(operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState) *gardencorev1beta1.LastOperation {
	return &gardencorev1beta1.LastOperation{Type: operationType, State: state}
}

// What is not reconciled here, gardenlet reconciles or does not want to be touched.
func TestMayReconcile(t *testing.T) {
	const (
		succeeded = gardencorev1beta1.LastOperationStateSucceeded
		failing   = gardencorev1beta1.LastOperationStateError
	)
	now := metav1.Now()
	annotated := func(operation string) func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {
		return func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) {
			ex.Annotations = map[string]string{"gardener.cloud/operation": operation}
		}
	}
	last := func(operationType gardencorev1beta1.LastOperationType, state gardencorev1beta1.LastOperationState) func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {
		return func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) {
			ex.Status.LastOperation = operation(operationType, state)
		}
	}
	for name, tc := range map[string]struct {
		change func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot)
		want   bool
	}{
		"reconciled":       {func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {}, true},
		"fails":            {last(gardencorev1beta1.LastOperationTypeReconcile, failing), true},
		"created":          {last(gardencorev1beta1.LastOperationTypeCreate, succeeded), true},
		"fails to create":  {last(gardencorev1beta1.LastOperationTypeCreate, failing), true},
		"restored":         {last(gardencorev1beta1.LastOperationTypeRestore, succeeded), true},
		"fails to restore": {last(gardencorev1beta1.LastOperationTypeRestore, failing), false},
		"migrated":         {last(gardencorev1beta1.LastOperationTypeMigrate, succeeded), false},
		"fails to migrate": {last(gardencorev1beta1.LastOperationTypeMigrate, failing), false},
		"never reconciled": {func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) { ex.Status.LastOperation = nil }, false},
		"to be reconciled": {annotated("reconcile"), false},
		"to be migrated":   {annotated("migrate"), false},
		"to be restored":   {annotated("restore"), false},
		"waits for state":  {annotated("wait-for-state"), false},
		"being deleted":    {func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) { ex.DeletionTimestamp = &now }, false},
		"shoot is deleted": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) { shoot.DeletionTimestamp = &now }, false},
		"shoot has failed": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateFailed)
		}, false},
		"shoot goes to sleep": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
		}, false},
		"shoot is ignored": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Annotations = map[string]string{"shoot.gardener.cloud/ignore": "true"}
		}, false},
		"shoot wakes up": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Status.IsHibernated = true
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			ex := &extensionsv1alpha1.Extension{}
			ex.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, succeeded)
			shoot := &gardencorev1beta1.Shoot{}
			tc.change(ex, shoot)
			NewWithT(t).Expect(mayReconcile(ex, shoot)).To(Equal(tc.want))
		})
	}
	NewWithT(t).Expect(mayReconcile(&extensionsv1alpha1.Extension{}, nil)).To(BeFalse(), "gardenlet has not written the Shoot yet")
}

func TestProjectOfCluster(t *testing.T) {
	g := NewWithT(t)
	cluster := &extensionsv1alpha1.Cluster{}
	g.Expect(projectOfCluster(cluster)).To(BeEmpty())
	cluster.Spec.Shoot = runtime.RawExtension{Raw: []byte(`{"apiVersion":"core.gardener.cloud/v1beta1","kind":"Shoot","metadata":{"namespace":"garden-one","name":"shoot"},"spec":{"region":"local"}}`)}
	g.Expect(projectOfCluster(cluster)).To(ConsistOf("garden-one"))
}
