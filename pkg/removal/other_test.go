// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
)

func TestCheckOnlyFlux(t *testing.T) {
	partOfFlux := map[string]string{"app.kubernetes.io/part-of": "flux"}
	deployment := func(namespace, name string, labels map[string]string) client.Object {
		return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name, Labels: labels}}
	}
	for name, test := range map[string]struct {
		deployments []client.Object
		err         string
	}{
		"nothing":                   {nil, ""},
		"our own":                   {[]client.Object{deployment("flux-system", "source-controller", partOfFlux), deployment("flux-system", "source-controller-shard1", partOfFlux)}, ""},
		"somebody's in flux-system": {[]client.Object{deployment("flux-system", "kustomize-controller", nil)}, ""},
		"something else":            {[]client.Object{deployment("ui", "flux-ui", partOfFlux), deployment("shop", "source-controller", nil)}, ""},
		"another one": {[]client.Object{deployment("flux-system", "source-controller", partOfFlux), deployment("gitops", "kustomize-controller", partOfFlux)},
			"another Flux runs in namespace gitops of the shoot (Deployment gitops/kustomize-controller). It would delete what it has deployed when Flux's CustomResourceDefinitions go, " +
				"so nothing is removed. To let the removal go on, stop it, and what it has deployed stays: kubectl -n gitops delete deployments -l app.kubernetes.io/part-of=flux. "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			c := fake.NewClientBuilder().WithScheme(scheme.Scheme).WithObjects(test.deployments...).Build()
			err := fluxOf(c).CheckOnlyFlux(t.Context())
			if test.err == "" {
				g.Expect(err).NotTo(HaveOccurred())
				return
			}
			g.Expect(err).To(MatchError(HavePrefix(test.err)))
			g.Expect(len(err.Error())).To(BeNumerically("<", 960))
		})
	}
}
