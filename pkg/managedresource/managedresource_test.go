// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource_test

import (
	"io"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

func object(apiVersion, kind, name string) client.Object {
	object := &unstructured.Unstructured{}
	object.SetAPIVersion(apiVersion)
	object.SetKind(kind)
	object.SetNamespace("flux-system")
	object.SetName(name)
	return object
}

func TestSerialize(t *testing.T) {
	g := NewWithT(t)
	one, other := object("source.toolkit.fluxcd.io/v1", "GitRepository", "one"), object("example.org/v1", "Unheard", "of")

	data, err := managedresource.Serialize([]client.Object{one, other})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(data).To(HaveLen(1))
	content, err := io.ReadAll(brotli.NewReader(strings.NewReader(string(data["data.yaml.br"]))))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(strings.Split(string(content), "---\n")).To(ConsistOf(
		"apiVersion: source.toolkit.fluxcd.io/v1\nkind: GitRepository\nmetadata:\n  name: one\n  namespace: flux-system\n",
		"apiVersion: example.org/v1\nkind: Unheard\nmetadata:\n  name: of\n  namespace: flux-system\n",
	))

	g.Expect(managedresource.Serialize([]client.Object{other, one})).To(Equal(data), "in any order")
}

func TestSerializeTheSameObjectTwice(t *testing.T) {
	_, err := managedresource.Serialize([]client.Object{object("v1", "Secret", "one"), object("v1", "Secret", "one")})
	NewWithT(t).Expect(err).To(MatchError("Secret flux-system/one is there twice"))
}

// Descriptions in some CustomResourceDefinitions of Flux have what looks like the end of a document.
func TestObjects(t *testing.T) {
	g := NewWithT(t)
	one, other := object("v1", "ConfigMap", "one"), object("example.org/v1", "Unheard", "of")
	one.SetAnnotations(map[string]string{"description": "an example:\n\n  ---\n  a: b\n---\nc: d"})

	data, err := managedresource.Serialize([]client.Object{one, other})
	g.Expect(err).NotTo(HaveOccurred())
	objects, err := data.Objects()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(objects).To(ConsistOf(one, other))

	_, err = managedresource.Data{"data.yaml": []byte("a: b: c")}.Objects()
	g.Expect(err).To(MatchError(HavePrefix("failed to read the objects of a ManagedResource: ")))
}
