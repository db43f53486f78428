// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"testing"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

const (
	imagesDefinition = "imagerepositories.image.toolkit.fluxcd.io"
	helmDefinition   = "helmreleases.helm.toolkit.fluxcd.io"
)

// controllers returns the images of the controllers in the shoot, by their names.
func (l *living) controllers() map[string]string {
	deployments := &appsv1.DeploymentList{}
	l.Expect(l.client.List(l.ctx, deployments, client.InNamespace("flux-system"))).To(Succeed())
	images := map[string]string{}
	for _, deployment := range deployments.Items {
		images[deployment.Name] = deployment.Spec.Template.Spec.Containers[0].Image
	}
	return images
}

func (l *living) hasDefinition(name string) bool {
	err := l.client.Get(l.ctx, client.ObjectKey{Name: name}, &apiextensionsv1.CustomResourceDefinition{})
	l.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// TestComponents follows a choice of controllers that grows and shrinks. (What is deleted goes as in any cluster.)
func TestComponents(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	choose := func(installation string) { l.configure(with(publicRepository, "config", "flux: "+installation)) }
	choose("{components: [source-controller, kustomize-controller], registry: registry.example.org/fluxcd}")
	l.operate("reconcile")
	l.expectVersion(newest)
	l.Expect(l.controllers()).To(And(HaveLen(2), HaveKeyWithValue("source-controller", HavePrefix("registry.example.org/fluxcd/source-controller:")), HaveKey("kustomize-controller")))
	l.Expect(l.hasDefinition(helmDefinition)).To(BeFalse())

	// To write where Flux's releases take their images from is to write nothing.
	choose("{componentsExtra: [image-reflector-controller, image-automation-controller], registry: ghcr.io/fluxcd}")
	l.Eventually(l.controllers, timeout).Should(And(HaveLen(6), HaveKeyWithValue("source-controller", HavePrefix("ghcr.io/fluxcd/source-controller:")), HaveKey("image-reflector-controller")))
	l.Eventually(func() bool { return l.hasDefinition(imagesDefinition) && l.hasDefinition(helmDefinition) }, timeout).Should(BeTrue())
	l.expectSuccess()

	// What somebody uses does not go.
	images := fluxObject("ImageRepository", "app", map[string]any{"image": "registry.example.org/app", "interval": "1m0s"})
	images.SetAPIVersion("image.toolkit.fluxcd.io/v1")
	images.SetNamespace("default")
	l.Eventually(func() error { return l.client.Create(l.ctx, images) }, timeout).Should(Succeed(), "the API server serves the kind a moment later")
	l.expectApplied(newest)
	l.configure(publicRepository)
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "the chosen components of Flux v2.9.4 would replace others: it has no kind ImageRepository, and the shoot has objects of this kind, which would be deleted (default/app)")
	l.Expect(l.controllers()).To(HaveLen(6))

	l.Expect(l.client.Delete(l.ctx, images)).To(Succeed())
	l.operate("reconcile")
	l.Eventually(l.controllers, timeout).Should(HaveLen(4))
	l.Eventually(func() bool { return l.hasDefinition(imagesDefinition) }, timeout).Should(BeFalse())
	l.Expect(l.hasDefinition(helmDefinition)).To(BeTrue())
	l.expectNoProblem()
}

// TestComponentOfSomebodyElse: a controller that comes later does not take the place of another one unseen.
func TestComponentOfSomebodyElse(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.configure(with(publicRepository, "config", "flux: {components: [source-controller, kustomize-controller]}"))
	l.operate("reconcile")
	l.expectVersion(newest)
	theirs := l.deployment("helm-controller")
	source := l.deployment("source-controller")
	l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(source), source)).To(Succeed())
	theirs.Spec = source.Spec
	l.Expect(l.client.Create(l.ctx, theirs)).To(Succeed())
	l.configure(publicRepository)
	l.Eventually(func(g Gomega) {
		l.lastOperation(g)
		g.Expect(l.status(g).Notices).To(ContainElement(HaveField("Message", ContainSubstring("The shoot had a Deployment of somebody else's that Flux v2.9.4 brings too"))))
	}, timeout).Should(Succeed())
}

// TestComponentThatAReleaseHasNot leaves what runs alone, with a sentence.
func TestComponentThatAReleaseHasNot(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(with(publicRepository, "fluxVersion", "v2.2.3"))
	s.operate("reconcile")
	s.expectSuccess()
	before, _ := s.managedResource(managedresource.Installation)
	s.configure(with(publicRepository, "fluxVersion", "v2.2.3", "config", "flux: {componentsExtra: [source-watcher]}"))
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "has no component source-watcher, but ")
	unchanged, _ := s.managedResource(managedresource.Installation)
	s.Expect(unchanged.ResourceVersion).To(Equal(before.ResourceVersion))
}
