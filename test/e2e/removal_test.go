// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"maps"
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// pushTeam adds to the repository a Kustomization that prunes, and what it deploys.
func pushTeam(g Gomega, t testing.TB, repository *gitserver.Repository) {
	_, err := repository.Commit(t.Context(), gitserver.DefaultBranch, "Add a team", map[string]string{
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources:\n- infrastructure\n- apps/production\n- team.yaml\n",
		"team.yaml": `apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {namespace: default, name: team}
spec:
  interval: 10m
  path: ./team
  prune: true
  sourceRef: {kind: GitRepository, namespace: flux-system, name: flux-system}
`,
		"team/configmap.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {namespace: default, name: team}\n",
	})
	g.Expect(err).NotTo(HaveOccurred())
}

// newUsedShoot is a shoot in which Flux has deployed the repository, Kustomization team, and what that one says. Somebody
// has a HelmRelease that waits for a controller, and there is none.
func (p *projectAdmin) newUsedShoot(configuration map[string]string, repository *gitserver.Repository) *shootOwner {
	pushTeam(p, p.t, repository)
	p.configure(configuration)
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectContent()
	shoot.Eventually(func() bool { return shoot.has(teamConfigMap()) }, timeout, interval).Should(BeTrue())
	p.Expect(shoot.cluster().Create(p.t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "helm.toolkit.fluxcd.io/v2",
		"kind":       "HelmRelease",
		"metadata":   map[string]any{"namespace": "default", "name": "podinfo", "finalizers": []any{"finalizers.fluxcd.io"}},
		"spec": map[string]any{"interval": "1h", "suspend": true, "chart": map[string]any{
			"spec": map[string]any{"chart": "podinfo", "sourceRef": map[string]any{"kind": "HelmRepository", "name": "charts"}},
		}},
	}})).To(Succeed())
	shoot.expectSucceeded()
	return shoot
}

func teamConfigMap() *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "team"}}
}

// has tells whether the shoot has an object.
func (s *shootOwner) has(object client.Object) bool {
	err := s.cluster().Get(s.t.Context(), client.ObjectKeyFromObject(object), object)
	s.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// switchOff removes the extension from the Shoot, and waits until Gardener has done so.
func (s *shootOwner) switchOff() {
	s.state(s)
	patch := client.MergeFrom(s.shoot.DeepCopy())
	s.shoot.Spec.Extensions = nil
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
	s.Eventually(func(g Gomega) {
		managedResources := &resourcesv1alpha1.ManagedResourceList{}
		g.Expect(s.seed.Client.List(s.t.Context(), managedResources, client.InNamespace(s.technicalID))).To(Succeed())
		for _, managedResource := range managedResources.Items {
			g.Expect(managedResource.Name).NotTo(Or(Equal(managedresource.Installation), Equal(managedresource.Configuration)))
		}
	}, timeout, interval).Should(Succeed())
	s.expectSucceeded()
}

// expectNoFlux checks that nothing of Flux is left.
func (s *shootOwner) expectNoFlux() {
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleList"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBindingList"},
		{Group: "apps", Version: "v1", Kind: "DeploymentList"},
		{Version: "v1", Kind: "PodList"},
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk)
		s.Expect(s.cluster().List(s.t.Context(), list, client.MatchingLabels{"app.kubernetes.io/part-of": "flux"})).To(Succeed())
		s.Expect(list.Items).To(BeEmpty(), gvk.Kind)
	}
	s.Expect(s.has(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}})).To(BeFalse())
}

func TestExtensionIsSwitchedOff(t *testing.T) {
	parallel(t)
	p := newProject(t, "off")
	repository := p.newRepository(false)
	shoot := p.newUsedShoot(p.private(repository), repository)
	shoot.switchOff()
	shoot.expectNoFlux()
	shoot.expectContent() // what users run stays
	p.Expect(shoot.has(teamConfigMap())).To(BeTrue())
	p.sourceSecret() // and so does the project's key
}

func TestExtensionIsSwitchedOffWithWorkloads(t *testing.T) {
	parallel(t)
	p := newProject(t, "prune")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	configuration["removalPolicy"] = "delete-workloads"
	shoot := p.newUsedShoot(configuration, repository)
	shoot.switchOff()
	shoot.expectNoFlux()
	p.Expect(shoot.has(teamConfigMap())).To(BeFalse())
	p.Eventually(func() bool {
		return shoot.has(&appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "shop", Name: "shop"}})
	}, timeout, interval).Should(BeFalse())
}

// TestExtensionIsSwitchedOffWithoutFlux lets a shoot's owner decide other than the project's admin.
func TestExtensionIsSwitchedOffWithoutFlux(t *testing.T) {
	parallel(t)
	p := newProject(t, "unmanaged")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	configuration["removalPolicy"] = "delete-workloads"
	shoot := p.newUsedShoot(configuration, repository)
	shoot.setProviderConfig(`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig","removalPolicy":"keep-flux"}`)
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.switchOff()

	pushMessage(shoot, t, repository, gitserver.DefaultBranch, "unmanaged")
	shoot.fetch()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	p.Expect(shoot.message()).To(Equal("unmanaged"))
}

// setProviderConfig writes the layer of the shoot; an empty text removes it.
func (s *shootOwner) setProviderConfig(config string) {
	s.state(s)
	patch := client.MergeFrom(s.shoot.DeepCopy())
	s.shoot.Spec.Extensions = []gardencorev1beta1.Extension{{Type: "shoot-flux"}}
	if config != "" {
		s.shoot.Spec.Extensions[0].ProviderConfig = &runtime.RawExtension{Raw: []byte(config)}
	}
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
}

// expectOwnedByUsers waits until Flux, which is in the shoot, has been left to its users.
func (s *shootOwner) expectOwnedByUsers() {
	s.Eventually(func(g Gomega) {
		installation, err := managedresource.Get(s.t.Context(), s.seed.Client, s.technicalID, managedresource.Installation)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(installation).NotTo(BeNil())
		g.Expect(managedresource.IsIgnored(installation)).To(BeTrue())
		g.Expect(managedresource.CheckIgnored(installation)).To(Succeed())
	}, timeout, interval).Should(Succeed())
}

// TestInstallationOnce lets a shoot's users own Flux, and takes it back.
func TestInstallationOnce(t *testing.T) {
	parallel(t)
	p := newProject(t, "once")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	configuration["fluxVersion"], configuration["installation"] = "v2.6.4", "once"
	p.configure(configuration)
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectFlux("v2.6.4")
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectHealthy()
	shoot.expectOwnedByUsers()

	drift := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "notification-controller"}}
	p.Expect(shoot.cluster().Delete(t.Context(), drift)).To(Succeed())
	p.Eventually(func() error {
		return shoot.cluster().Get(t.Context(), client.ObjectKeyFromObject(drift), drift)
	}, timeout, interval).Should(Satisfy(apierrors.IsNotFound))
	newer := maps.Clone(configuration)
	newer["fluxVersion"] = fluxVersion
	p.configure(newer)
	shoot.resync(managedresource.Installation)
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.expectFlux("v2.6.4")
	p.Expect(shoot.has(drift)).To(BeFalse(), "it is not repaired")
	shoot.expectHealthy()

	delete(newer, "installation")
	p.configure(newer)
	shoot.expectFlux(fluxVersion)
	p.Eventually(func() bool { return shoot.has(drift) }, timeout, interval).Should(BeTrue())
}
