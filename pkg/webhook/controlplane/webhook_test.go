// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package controlplane_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/webhook/controlplane"
)

func deployment(name string, deleted *metav1.Time) *appsv1.Deployment {
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: name, DeletionTimestamp: deleted}}
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "gardener-resource-manager", Image: "registry.example/grm:latest"}}
	return deployment
}

func TestMutator(t *testing.T) {
	for name, test := range map[string]struct {
		gardenerVersion string
		object          client.Object
		args            []string
	}{
		"gardener-resource-manager": {"v1.150.0", deployment("gardener-resource-manager", nil), []string{"--extra-target-namespace=flux-system"}},
		"an old one":                {"v1.146.0", deployment("gardener-resource-manager", nil), nil},
		"one that is being deleted": {"v1.150.0", deployment("gardener-resource-manager", new(metav1.Now())), nil},
		"another Deployment":        {"v1.150.0", deployment("kube-apiserver", nil), nil},
		"something of another kind": {"v1.150.0", &corev1.Secret{}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := test.object.DeepCopyObject()
			g.Expect(controlplane.Mutator(test.gardenerVersion).Mutate(t.Context(), test.object, nil)).To(Succeed())
			if test.args == nil {
				g.Expect(test.object).To(Equal(before))
				return
			}
			g.Expect(test.object.(*appsv1.Deployment).Spec.Template.Spec.Containers[0].Args).To(Equal(test.args))
		})
	}
}
