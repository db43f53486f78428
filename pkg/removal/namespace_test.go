// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
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
		"data with the labels of Flux":           {"v1", "ConfigMap", metav1.ObjectMeta{Name: "vars", Labels: installed}, true},
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

func TestIsOurs(t *testing.T) {
	g := NewWithT(t)
	ours := func(kind, name string) bool {
		for _, labelled := range labelledKinds {
			if labelled.Kind == kind {
				return labelled.isOurs(name)
			}
		}
		return false
	}
	for kind, names := range map[string][]string{
		"CustomResourceDefinition": {"gitrepositories.source.toolkit.fluxcd.io", "imagepolicies.image.toolkit.fluxcd.io", "artifactgenerators.source.extensions.fluxcd.io"},
		"ClusterRole":              {"crd-controller-flux-system", "flux-edit-flux-system", "flux-view-flux-system"},
		"ClusterRoleBinding":       {"crd-controller-flux-system", "cluster-reconciler-flux-system"},
		"Deployment":               {"source-controller"},
	} {
		for _, name := range names {
			g.Expect(ours(kind, name)).To(BeTrue(), name)
		}
	}
	for kind, names := range map[string][]string{
		"CustomResourceDefinition": {"databases.example.org", "terraforms.infra.contrib.fluxcd.io", "fluxinstances.fluxcd.controlplane.io", "toolkit.fluxcd.io"},
		"ClusterRole":              {"flux-view", "my-flux-system"},
		"ClusterRoleBinding":       {"team-flux-system"},
		"ConfigMap":                {"vars"},
		"Secret":                   {"flux-system"},
	} {
		for _, name := range names {
			g.Expect(ours(kind, name)).To(BeFalse(), name)
		}
	}
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
	g.Expect(len(DescribeKept(left.String()))).To(BeNumerically("<", 1024), "an event takes no more")
	left = nil
	left.add(long)
	left.add(long)
	g.Expect(left).To(HaveLen(1), "it is the same object")
}
