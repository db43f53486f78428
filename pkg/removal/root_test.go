// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal_test

import (
	"testing"

	. "github.com/onsi/gomega"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// TestPruneOnDeletion: what lets workloads stay when the Kustomization gets another name must not keep them when they are to go.
func TestPruneOnDeletion(t *testing.T) {
	const ours, theirs = "seed:shoot--local--one/extension-shoot-flux-configuration", ""
	for name, test := range map[string]struct {
		origin       string
		policy, want any
	}{
		"the extension's":                       {ours, "Orphan", "MirrorPrune"},
		"none, as of a release without it":      {ours, nil, nil},
		"written: as it prunes":                 {ours, "MirrorPrune", "MirrorPrune"},
		"written: whether it prunes or not":     {ours, "Delete", "Delete"},
		"written: and waits until all has gone": {ours, "WaitForTermination", "WaitForTermination"},
		"the shoot's users'":                    {theirs, "Orphan", "Orphan"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			root := &unstructured.Unstructured{Object: map[string]any{"spec": map[string]any{"prune": true}}}
			root.SetGroupVersionKind(flux.Kustomization.WithVersion("v1"))
			root.SetNamespace(flux.Namespace)
			root.SetName(flux.Name)
			root.SetAnnotations(map[string]string{resourcesv1alpha1.OriginAnnotation: test.origin})
			if test.policy != nil {
				g.Expect(unstructured.SetNestedField(root.Object, test.policy, "spec", "deletionPolicy")).To(Succeed())
			}
			scheme := runtime.NewScheme()
			g.Expect(apiextensionsv1.AddToScheme(scheme)).To(Succeed())
			scheme.AddKnownTypeWithName(root.GroupVersionKind(), &unstructured.Unstructured{})
			shoot := fake.NewClientBuilder().WithScheme(scheme).WithObjects(root, definition(flux.Kustomization.Group, flux.Kustomization.Plural, flux.Kustomization.Kind, labels)).Build()
			for range 2 {
				g.Expect(fluxOf(shoot).PruneOnDeletion(t.Context(), managedresource.Configuration)).To(Succeed())
				g.Expect(shoot.Get(t.Context(), client.ObjectKeyFromObject(root), root)).To(Succeed())
				policy, _, err := unstructured.NestedFieldNoCopy(root.Object, "spec", "deletionPolicy")
				g.Expect(err).NotTo(HaveOccurred())
				if test.want == nil {
					g.Expect(policy).To(BeNil())
				} else {
					g.Expect(policy).To(Equal(test.want))
				}
			}
		})
	}
}
