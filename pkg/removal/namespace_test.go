// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"bytes"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
)

func TestIsForeign(t *testing.T) {
	namespaced := sets.New(schema.GroupKind{Kind: "Service"}, schema.GroupKind{Group: "apps", Kind: "ReplicaSet"})
	owner := func(apiVersion, kind string) []metav1.OwnerReference {
		return []metav1.OwnerReference{{APIVersion: apiVersion, Kind: kind, Name: "owner"}}
	}
	for name, c := range map[string]struct {
		apiVersion, kind string
		meta             metav1.ObjectMeta
		foreign          bool
	}{
		"what Helm knows about a release":        {"v1", "Secret", metav1.ObjectMeta{Name: "sh.helm.release.v1.podinfo.v1", Labels: map[string]string{"owner": "helm"}}, true},
		"variables for kustomize":                {"v1", "ConfigMap", metav1.ObjectMeta{Name: "cluster-vars"}, true},
		"data with the labels of Flux":           {"v1", "ConfigMap", metav1.ObjectMeta{Name: "vars", Labels: flux.InstallationLabels(flux.Namespace)}, true},
		"a workload":                             {"apps/v1", "Deployment", metav1.ObjectMeta{Name: "dashboard"}, true},
		"of a kind that the users defined":       {"example.org/v1", "Thing", metav1.ObjectMeta{Name: "thing"}, true},
		"a service account":                      {"v1", "ServiceAccount", metav1.ObjectMeta{Name: "reconciler"}, true},
		"a namespace's CA":                       {"v1", "ConfigMap", metav1.ObjectMeta{Name: "kube-root-ca.crt"}, false},
		"an old lock":                            {"v1", "ConfigMap", metav1.ObjectMeta{Name: "lock", Annotations: map[string]string{"control-plane.alpha.kubernetes.io/leader": "{}"}}, false},
		"a namespace's service account":          {"v1", "ServiceAccount", metav1.ObjectMeta{Name: "default"}, false},
		"its token":                              {"v1", "Secret", metav1.ObjectMeta{Name: "default-token-x7x2b", Annotations: map[string]string{"kubernetes.io/service-account.name": "default"}}, false},
		"another token of it":                    {"v1", "Secret", metav1.ObjectMeta{Name: "for-ci", Annotations: map[string]string{"kubernetes.io/service-account.name": "default"}}, true},
		"a token of an account that goes":        {"v1", "Secret", metav1.ObjectMeta{Name: "for-ci", Annotations: map[string]string{"kubernetes.io/service-account.name": "helm-controller"}}, false},
		"it goes already":                        {"v1", "Secret", metav1.ObjectMeta{Name: "gone", DeletionTimestamp: new(metav1.Now())}, false},
		"it belongs to something there":          {"v1", "Pod", metav1.ObjectMeta{Name: "pod", OwnerReferences: owner("apps/v1", "ReplicaSet")}, false},
		"it belongs to something in the cluster": {"v1", "Secret", metav1.ObjectMeta{Name: "connection", OwnerReferences: owner("example.org/v1", "Composite")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			object := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{APIVersion: c.apiVersion, Kind: c.kind}, ObjectMeta: c.meta}
			NewWithT(t).Expect(isForeign(object, namespaced.Has)).To(Equal(c.foreign))
		})
	}
}

// TestInstallationOfEachRelease shows that nothing that a release installs outside of its namespace is unknown.
func TestInstallationOfEachRelease(t *testing.T) {
	g := NewWithT(t)
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	embedded, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	rendered, err := render.NewInstallation(embedded.Manifests, render.Images{})
	g.Expect(err).NotTo(HaveOccurred())
	for _, object := range rendered.Objects {
		if gvk := object.GetObjectKind().GroupVersionKind(); object.GetNamespace() == "" && gvk != namespaceKind {
			g.Expect(Removal{Namespace: flux.Namespace}.installation()).To(ContainElement(references(gvk, object.GetName())[0]))
		}
	}
	manifests := map[string][]byte{"embedded": embedded.Manifests}
	for _, version := range fluxreleases.Versions() {
		files, err := fluxreleases.Files(version)
		g.Expect(err).NotTo(HaveOccurred())
		manifests[version] = bytes.Join(slices.Collect(maps.Values(files)), []byte("\n---\n"))
	}
	for version, manifests := range manifests {
		count := 0
		for _, match := range regexp.MustCompile(`(?m)^  name: ([a-z]+\.[a-z.]+\.fluxcd\.io)$`).FindAllSubmatch(manifests, -1) {
			g.Expect(flux.Definitions()).To(ContainElement(string(match[1])), version)
			count++
		}
		g.Expect(count).To(BeNumerically(">=", 8), version)
	}
	g.Expect(slices.IsSorted(flux.Definitions())).To(BeTrue())
}

func TestLeftIsBounded(t *testing.T) {
	g := NewWithT(t)
	left := Left{}
	long := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "Kustomization"}, ObjectMeta: metav1.ObjectMeta{Namespace: "default"}}
	for i := range 100 {
		long.Name = string(rune('a'+i%26)) + strings.Repeat("x", 250)
		left.add(long)
	}
	g.Expect(left).To(HaveLen(4))
	g.Expect(len(Removal{Namespace: flux.Namespace}.DescribeKept(left.String()))).To(BeNumerically("<", 1024), "an event takes no more")
	left = nil
	left.add(long)
	left.add(long)
	g.Expect(left).To(HaveLen(1), "it is the same object")
}
