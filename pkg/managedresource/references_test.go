// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource_test

import (
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

func TestReferences(t *testing.T) {
	s, references := newSeed(t), managedresource.NewReferences()
	s.g.Expect(references.Of(s.ctx, s, nil)).To(BeEmpty())

	data := managedresource.Data{"objects": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: a\n  name: given\n")}
	s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, nil, data, nil)).To(Succeed())
	managedResource := s.applied()
	managedResource.Status.Resources = []resourcesv1alpha1.ObjectReference{{ObjectReference: corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: "a", Name: "remembered"}}}
	given := corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: "a", Name: "given"}
	remembered := corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: "a", Name: "remembered"}
	for range 2 { // the second time from memory
		s.g.Expect(references.Of(s.ctx, s, managedResource)).To(ConsistOf(given, remembered))
	}

	changed := managedresource.Data{"objects": []byte("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  namespace: a\n  name: other\n")}
	s.g.Expect(managedresource.Apply(s.ctx, s, "one", managedresource.Configuration, nil, changed, s.applied())).To(Succeed())
	given.Name = "other"
	s.g.Expect(references.Of(s.ctx, s, s.applied())).To(ConsistOf(given))

	// Garbage collection may have taken the Secret.
	s.g.Expect(s.DeleteAllOf(s.ctx, &corev1.Secret{})).To(Succeed())
	s.g.Expect(references.Of(s.ctx, s, managedResource)).To(ConsistOf(remembered))
}
