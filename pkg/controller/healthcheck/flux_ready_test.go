// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package healthcheck

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

func TestOnlyAFaultAffectsTheShoot(t *testing.T) {
	for status, want := range map[gardencorev1beta1.ConditionStatus]gardencorev1beta1.ConditionStatus{
		"": "True", "True": "True", "Progressing": "True", "Unknown": "True", "False": "False",
	} {
		t.Run(string(status), func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--p--one", Name: "shoot-flux"}}
			if status != "" {
				ex.Status.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Status: status, Message: "the sentence"}}
			}
			check := &fluxReady{seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex).Build()}
			result, err := check.Check(t.Context(), client.ObjectKeyFromObject(ex))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(result.Status).To(Equal(want))
			if want == gardencorev1beta1.ConditionFalse {
				g.Expect(result.Detail).To(Equal("the sentence"))
			}
		})
	}
}
