// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

func TestCameFrom(t *testing.T) {
	for origin, from := range map[string]string{
		"seed-one:shoot--shop--one/extension-shoot-flux-installation":       "extension",
		"seed-two:shoot--shop--one/extension-shoot-flux-configuration":      "extension",
		"shoot--shop--one/extension-shoot-flux-configuration":               "extension",
		"seed-one:shoot--shop--one/extension-shoot-flux-flux-install":       "predecessor",
		"seed-one:shoot--shop--one/extension-shoot-flux-flux-config":        "predecessor",
		"seed-one:shoot--shop--two/extension-shoot-flux-configuration":      "",
		"seed-one:shoot--shop--one/shoot-core-system":                       "",
		"a:b:shoot--shop--one/extension-shoot-flux-configuration":           "",
		"seed-one:shoot--shop--one/extension-shoot-flux-configuration/more": "",
		"": "",
	} {
		g := NewWithT(t)
		one := object("v1", "Secret", "one")
		one.SetAnnotations(map[string]string{"resources.gardener.cloud/origin": origin})
		g.Expect(managedresource.CameFrom(one, "shoot--shop--one")).To(Equal(from == "extension"), origin)
		g.Expect(managedresource.CameFromPredecessor(one, "shoot--shop--one")).To(Equal(from == "predecessor"), origin)
	}
	NewWithT(t).Expect(managedresource.CameFrom(object("v1", "Secret", "one"), "shoot--shop--one")).To(BeFalse())
}

func TestHasApplied(t *testing.T) {
	g := NewWithT(t)
	kind, key := schema.GroupKind{Group: "source.toolkit.fluxcd.io", Kind: "GitRepository"}, client.ObjectKey{Namespace: "flux-system", Name: "flux-system"}
	g.Expect(managedresource.HasApplied(nil, kind, key)).To(BeFalse())
	one := &resourcesv1alpha1.ManagedResource{}
	g.Expect(managedresource.HasApplied(one, kind, key)).To(BeFalse())

	reference := resourcesv1alpha1.ObjectReference{}
	reference.APIVersion, reference.Kind, reference.Namespace, reference.Name = "source.toolkit.fluxcd.io/v1beta2", "GitRepository", "flux-system", "flux-system"
	one.Status.Resources = []resourcesv1alpha1.ObjectReference{reference}
	g.Expect(managedresource.HasApplied(one, kind, key)).To(BeTrue())
	g.Expect(managedresource.HasApplied(one, kind, client.ObjectKey{Namespace: "flux-system", Name: "other"})).To(BeFalse())
	g.Expect(managedresource.HasApplied(one, schema.GroupKind{Kind: "GitRepository"}, key)).To(BeFalse())
}
