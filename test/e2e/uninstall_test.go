// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/extension"
)

// leftovers returns what a cluster has that speaks of the extension.
func leftovers(t *testing.T, g Gomega, config *rest.Config) []string {
	var left []string
	for _, object := range everything(t, g, config) {
		if name := client.ObjectKeyFromObject(&object).String(); strings.Contains(name, extension.Registration) {
			left = append(left, object.GetKind()+" "+name)
		}
	}
	return left
}

func expectUninstalled(t *testing.T, g Gomega, seed *landscape.Seed) {
	g.Eventually(func(g Gomega) { g.Expect(leftovers(t, g, seed.AdminConfig)).To(BeEmpty()) }, timeout, interval).Should(Succeed())
	g.Eventually(seed.ExtensionProcess, timeout, interval).Should(BeNil())
}

// deleteExamples does what `kubectl delete -f` does.
func deleteExamples(t *testing.T, g Gomega, l *landscape.Landscape, files ...string) {
	for _, name := range files {
		file, err := os.Open(filepath.Join("../../example", name))
		g.Expect(err).NotTo(HaveOccurred())
		decoder := yaml.NewYAMLOrJSONDecoder(file, 1<<16)
		for object := new(unstructured.Unstructured); decoder.Decode(object) == nil; object = new(unstructured.Unstructured) {
			g.Expect(client.IgnoreNotFound(l.GardenClient.Delete(t.Context(), object))).To(Succeed())
		}
		g.Expect(file.Close()).To(Succeed())
	}
}

// TestUninstall lets the extension go from a seed in the ways that there are, and looks for what is left of it: the last shoot goes, the
// operator uninstalls it as docs/operations/uninstall.md says, and the seed goes.
func TestUninstall(t *testing.T) {
	parallel(t)
	g := NewWithT(t)
	l := newLandscape(t, false)
	p := newProjectIn(t, l, "last")
	p.configure(p.private(p.newRepository(false)))
	shoot := p.newShoot("one")
	shoot.expectSucceeded()
	p.Eventually(func(g Gomega) { g.Expect(shoot.statusConfigMap(g)).To(HaveKey("one")) }, timeout, interval).Should(Succeed())

	registration := &gardencorev1beta1.ControllerRegistration{ObjectMeta: metav1.ObjectMeta{Name: extension.Registration}}
	onDemand := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deployment":{"policy":"OnDemand"}}}`))
	g.Expect(l.GardenClient.Patch(t.Context(), registration, onDemand)).To(Succeed())
	shoot.delete(t.Context())
	shoot.expectNothingIn(l.Seed)
	expectUninstalled(t, g, l.Seed)

	g.Expect(register(t.Context(), l, false)).To(Succeed())
	deleteExamples(t, g, l, "controller-registration.yaml")
	expectUninstalled(t, g, l.Seed)
	g.Eventually(func() error {
		return l.GardenClient.Get(t.Context(), client.ObjectKeyFromObject(registration), registration)
	}, timeout, interval).Should(Satisfy(apierrors.IsNotFound))
	accounts := &corev1.ServiceAccountList{}
	g.Expect(l.GardenClient.List(t.Context(), accounts, client.HasLabels{"flux.extensions.gardener.cloud/garden-access"})).To(Succeed())
	g.Expect(accounts.Items).To(ConsistOf(HaveField("Namespace", "seed-"+l.Seed.SeedName)))
	g.Expect(l.GardenClient.Delete(t.Context(), &accounts.Items[0])).To(Succeed())
	deleteExamples(t, g, l, "garden/rights.yaml", "garden/policies.yaml")
	expectNothingInGarden := func() {
		g.Eventually(func(g Gomega) { g.Expect(leftovers(t, g, l.Garden.AdminConfig)).To(BeEmpty()) }, timeout, interval).Should(Succeed())
	}
	expectNothingInGarden()
	ofProject := map[string]client.Object{"flux-config": &corev1.ConfigMap{}, "flux-source": &corev1.Secret{}, "flux-status": &corev1.ConfigMap{}}
	for name, object := range ofProject {
		g.Expect(l.GardenClient.Get(t.Context(), client.ObjectKey{Namespace: p.namespace, Name: name}, object)).To(Succeed(), "it is the project's")
	}

	g.Expect(register(t.Context(), l, false)).To(Succeed())
	g.Expect(l.DeleteSeed(t.Context(), l.Seed.SeedName)).To(Succeed())
	expectUninstalled(t, g, l.Seed)
	g.Eventually(func() error {
		return l.GardenClient.Get(t.Context(), client.ObjectKey{Name: l.Seed.SeedName}, &gardencorev1beta1.Seed{})
	}, timeout, interval).Should(Satisfy(apierrors.IsNotFound))
	deleteExamples(t, g, l, "controller-registration.yaml", "garden/rights.yaml", "garden/policies.yaml")
	expectNothingInGarden()
}

// TestProjectIsDeleted deletes a project while the extension works, which must not hold it up, nor make anything again.
func TestProjectIsDeleted(t *testing.T) {
	parallel(t)
	p := newProject(t, "ends")
	p.configure(p.private(p.newRepository(false)))
	shoot := p.newShoot("one")
	shoot.expectSucceeded()
	p.Eventually(func(g Gomega) { g.Expect(shoot.statusConfigMap(g)).To(HaveKey("one")) }, timeout, interval).Should(Succeed())

	shoot.delete(t.Context())
	object := &gardencorev1beta1.Project{ObjectMeta: metav1.ObjectMeta{Name: p.name}}
	p.Expect(confirmAndDelete(t.Context(), p, shared.GardenClient, object)).To(BeTrue())
	p.Eventually(func() error {
		return shared.GardenClient.Get(t.Context(), client.ObjectKeyFromObject(object), object)
	}, timeout, interval).Should(Satisfy(apierrors.IsNotFound))
	err := shared.GardenClient.Get(t.Context(), client.ObjectKey{Name: p.namespace}, &corev1.Namespace{})
	p.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}
