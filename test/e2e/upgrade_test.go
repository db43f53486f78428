// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"maps"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// expectFlux waits until the shoot has a release of Flux, and its API versions alone.
func (s *shootOwner) expectFlux(version string) {
	s.Eventually(func(g Gomega) {
		definition := s.ociRepositories(g)
		g.Expect(definition.Labels).To(HaveKeyWithValue("app.kubernetes.io/version", version))
		deployment := &appsv1.Deployment{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "flux-system", Name: "source-controller"}, deployment)).To(Succeed())
		g.Expect(deployment.Labels).To(HaveKeyWithValue("app.kubernetes.io/version", version))
	}, timeout, interval).Should(Succeed())
}

func (s *shootOwner) ociRepositories(g Gomega) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Name: "ocirepositories.source.toolkit.fluxcd.io"}, definition)).To(Succeed())
	return definition
}

// TestUpgrade takes a shoot with objects of its users from Flux v2.2, by v2.6, whose controllers work, to v2.9, which does not
// know any more the API version in which the first release has stored them.
func TestUpgrade(t *testing.T) {
	parallel(t)
	p := newProject(t, "upgrade")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	get := func(version string) {
		wanted := maps.Clone(configuration)
		wanted["fluxVersion"] = version
		p.configure(wanted)
	}
	get("v2.2.3")
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectFlux("v2.2.3")
	images := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "source.toolkit.fluxcd.io/v1beta2",
		"kind":       "OCIRepository",
		"metadata":   map[string]any{"namespace": "default", "name": "images"},
		"spec":       map[string]any{"url": "oci://registry.example.com/images", "interval": "5m0s", "suspend": true},
	}}
	// A kind is served a moment after its definition is there.
	p.Eventually(func() error { return shoot.cluster().Create(t.Context(), images) }, timeout, interval).Should(Succeed())
	condition := map[string]any{"type": "Ready", "status": "True", "reason": "Succeeded", "message": "it works", "lastTransitionTime": "2026-01-02T03:04:05Z"}
	p.Expect(unstructured.SetNestedSlice(images.Object, []any{condition}, "status", "conditions")).To(Succeed())
	p.Expect(shoot.cluster().Status().Update(t.Context(), images)).To(Succeed())

	get("v2.6.4")
	shoot.expectFlux("v2.6.4")
	p.Expect(shoot.ociRepositories(p).Status.StoredVersions).To(ConsistOf("v1beta2", "v1"))
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectContent()

	get(fluxVersion)
	shoot.expectFlux(fluxVersion)
	p.Expect(shoot.ociRepositories(p).Status.StoredVersions).To(ConsistOf("v1"))
	images.SetAPIVersion("source.toolkit.fluxcd.io/v1")
	p.Expect(shoot.cluster().Get(t.Context(), client.ObjectKeyFromObject(images), images)).To(Succeed())
	p.Expect(images.Object["spec"]).To(HaveKeyWithValue("url", "oci://registry.example.com/images"))
	p.Expect(images.Object["status"]).To(HaveKeyWithValue("conditions", ConsistOf(HaveKeyWithValue("message", "it works"))))
	pushMessage(shoot, t, repository, gitserver.DefaultBranch, "upgraded")
	shoot.fetch()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	p.Expect(shoot.message()).To(Equal("upgraded"))
	shoot.expectHealthy()

	get("v2.6.4")
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.expectReported(gardencorev1beta1.ConditionFalse, "Warning NotAsConfigured", "Flux v2.9.4 is installed, and v2.6.4")
	shoot.expectFlux(fluxVersion)
}
