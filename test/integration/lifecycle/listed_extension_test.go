// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// listedFile is a providerConfig as shoots of the extension have it that Gardener lists.
const listedFile = `{
	apiVersion: flux.extensions.gardener.cloud/v1alpha1, kind: FluxConfig, flux: {version: v2.2.3},
	source: {secretResourceName: base, template: {
		apiVersion: source.toolkit.fluxcd.io/v1, kind: GitRepository, spec: {url: 'https://git.example.org/platform/base.git', ref: {branch: main}}}},
	kustomization: {template: {spec: {path: clusters/dev}}}}`

// managedByExtension is the one edit.
const managedByExtension = ", installation: managed, syncMode: Managed"

// listed is a shoot that the extension has bootstrapped that Gardener lists: Flux by `flux install`, objects that were applied directly, and
// nothing of ours.
type listed struct {
	*living
	source, root *unstructured.Unstructured
	secret       *corev1.Secret
}

// newListed makes what that extension has made, with another release of Flux than its file names.
func newListed(t *testing.T, version string) *listed {
	l := &listed{living: newLiving(t)}
	l.upgradeByUsers(version)
	l.source = fluxObject("GitRepository", "flux-system", map[string]any{
		"interval": "1m0s", "url": "https://git.example.org/platform/base.git", "ref": map[string]any{"branch": "main"}, "secretRef": map[string]any{"name": "flux-system"},
	})
	l.root = fluxObject("Kustomization", "flux-system", map[string]any{
		"interval": "1m0s", "path": "clusters/dev", "prune": false,
		"sourceRef": map[string]any{"kind": "GitRepository", "name": "flux-system", "namespace": "flux-system"},
	})
	label := map[string]string{"app.kubernetes.io/managed-by": "gardener-extension-shoot-flux"}
	data := map[string][]byte{"username": []byte("git"), "password": []byte("one")}
	l.secret = &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "flux-system", Labels: label}, Type: corev1.SecretTypeOpaque, Data: data}
	shootInfo := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "shoot-info", Labels: label}, Data: map[string]string{
		"SHOOT_INFO_CLUSTER_IDENTITY": "old", "SHOOT_INFO_GARDEN_CLUSTER_IDENTITY": "garden", "SHOOT_INFO_NAME": l.object.Name, "SHOOT_INFO_TECHNICAL_ID": l.control,
	}}
	for _, object := range []client.Object{l.source, l.root, l.secret, shootInfo} {
		l.Eventually(func() error { return l.client.Create(l.ctx, object) }, timeout).Should(Succeed())
	}
	l.deployBy(l.root, "default_shop__ConfigMap")

	l.object.Spec.Resources = []gardencorev1beta1.NamedResourceReference{{Name: "base"}}
	l.object.Spec.Resources[0].ResourceRef.APIVersion, l.object.Spec.Resources[0].ResourceRef.Kind, l.object.Spec.Resources[0].ResourceRef.Name = "v1", "Secret", "base-token"
	l.syncCluster()
	l.Expect(shared.seedClient.Create(l.ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: l.control, Name: "ref-base-token"}, Type: corev1.SecretTypeOpaque, Data: data})).To(Succeed())
	l.write("v2.2.3", "")
	l.reconciledByPredecessor()
	l.setBootstrapped()
	return l
}

// write puts the file into the Shoot, with another version and more fields.
func (l *listed) write(version, more string) {
	raw, err := yaml.YAMLToJSON([]byte(strings.TrimSuffix(strings.Replace(listedFile, "v2.2.3", version, 1), "}") + more + "}"))
	l.Expect(err).NotTo(HaveOccurred())
	l.setRawProviderConfig(&runtime.RawExtension{Raw: raw})
}

func (l *living) setBootstrapped() {
	l.Eventually(func(g Gomega) {
		g.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), l.extension)).To(Succeed())
		l.extension.Status.Conditions = append(l.extension.Status.Conditions, gardencorev1beta1.Condition{
			Type: "FluxBootstrapped", Status: gardencorev1beta1.ConditionTrue, Reason: "BootstrapSuccessful", Message: "Flux is there", LastTransitionTime: metav1.Now(), LastUpdateTime: metav1.Now(),
		})
		g.Expect(shared.seedClient.Status().Update(l.ctx, l.extension)).To(Succeed())
	}, timeout).Should(Succeed())
}

// expectNotBootstrapped waits until the condition is gone, and all else is as it is to be.
func (l *living) expectNotBootstrapped() {
	l.Eventually(func(g Gomega) {
		g.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), l.extension)).To(Succeed())
		g.Expect(v1beta1helper.GetCondition(l.extension.Status.Conditions, "FluxBootstrapped")).To(BeNil())
	}, timeout).Should(Succeed())
}

// allOfFlux are the objects that Flux consists of, as they are now.
func (l *living) allOfFlux() []client.Object {
	var all []client.Object
	for _, gvk := range []string{
		"apps/v1/Deployment", "v1/Service", "v1/ServiceAccount", "networking.k8s.io/v1/NetworkPolicy", "v1/ResourceQuota", "v1/Namespace",
		"rbac.authorization.k8s.io/v1/ClusterRole", "rbac.authorization.k8s.io/v1/ClusterRoleBinding", "apiextensions.k8s.io/v1/CustomResourceDefinition",
	} {
		list := &metav1.PartialObjectMetadataList{}
		at := strings.LastIndex(gvk, "/")
		list.APIVersion, list.Kind = gvk[:at], gvk[at+1:]+"List"
		l.Expect(l.client.List(l.ctx, list, client.MatchingLabels{"app.kubernetes.io/part-of": "flux"})).To(Succeed())
		l.Expect(list.Items).NotTo(BeEmpty(), gvk)
		for i := range list.Items {
			list.Items[i].APIVersion, list.Items[i].Kind = gvk[:at], gvk[at+1:]
			all = append(all, &list.Items[i])
		}
	}
	return all
}

// deployedByItself labels Flux as a repository does that holds gotk-components.yaml and gotk-sync.yaml.
func (l *listed) deployedByItself() {
	deployed := client.RawPatch("application/merge-patch+json",
		[]byte(`{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"flux-system","kustomize.toolkit.fluxcd.io/namespace":"flux-system"}}}`))
	for _, object := range append(l.allOfFlux(), l.source, l.root) {
		l.Expect(l.client.Patch(l.ctx, object, deployed)).To(Succeed())
	}
}

// TestOnlyFluxOfTheListedExtension: what it says of the shoot goes when this extension has done what is configured.
func TestOnlyFluxOfTheListedExtension(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.upgradeByUsers("v2.6.4")
	l.setRawProviderConfig(&runtime.RawExtension{Raw: []byte(`{"flux":{"version":"v2.2.3"}}`)})
	l.reconciledByPredecessor()
	l.setBootstrapped()
	before := l.allOfFlux()
	l.operate("reconcile")
	l.expectNotBootstrapped()
	l.expectNoProblem()
	l.expectUnchanged(before...)
	l.Expect(l.status(l)).To(And(HaveField("Version", "v2.6.4"), HaveField("Origin", "shoot")))
}

// TestShootOfTheListedExtension meets a shoot with the same file.
func TestShootOfTheListedExtension(t *testing.T) {
	t.Parallel()
	for name, itself := range map[string]bool{"installed by the extension": false, "deployed by itself": true} {
		t.Run(name, func(t *testing.T) {
			l := newListed(t, "v2.6.4")
			if itself {
				l.deployedByItself()
			}
			before := append(l.allOfFlux(), l.source, l.root)
			l.operate("reconcile")
			l.expectNotBootstrapped()
			l.expectNoProblem()
			l.operate("reconcile")
			l.expectNoProblem()
			l.expectUnchanged(before...)
			l.Expect(l.status(l)).To(And(HaveField("Version", "v2.6.4"), HaveField("Origin", "shoot")))
			l.expectSecretFollows("two")

			// What the file says of the rest has no effect.
			l.write(newest, "")
			l.operate("reconcile")
			l.expectNoProblem()
			l.expectUnchanged(before...)

			// One edit makes it the extension's. What is not so stays as it is.
			l.write("v2.2.3", managedByExtension)
			l.operate("reconcile")
			l.expectProblem(fluxv1alpha1.NotAsConfigured, "Flux v2.6.4 is installed, and v2.2.3")
			l.expectUnchanged(before...)

			l.write(newest, managedByExtension)
			l.operate("reconcile")
			l.expectVersion(newest)
			l.expectManaged()
			l.expectEvent("FluxTakenOver", HavePrefix("The shoot had Flux v2.6.4 of somebody else's, which is the extension's from now on"))
			l.expectSecretFollows("three")

			after := append(l.allOfFlux(), l.source, l.root)
			l.operate("reconcile")
			l.expectNoProblem()
			l.expectUnchanged(after...)
		})
	}
}

// expectSecretFollows changes the Secret that the Shoot refers to, as gardenlet does.
func (l *listed) expectSecretFollows(password string) {
	secret := &corev1.Secret{}
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKey{Namespace: l.control, Name: "ref-base-token"}, secret)).To(Succeed())
	secret.Data["password"] = []byte(password)
	l.Expect(shared.seedClient.Update(l.ctx, secret)).To(Succeed())
	l.operate("reconcile")
	l.Eventually(func(g Gomega) {
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(l.secret), l.secret)).To(Succeed())
		g.Expect(l.secret.Data).To(HaveKeyWithValue("password", []byte(password)))
		shootInfo := &corev1.ConfigMap{}
		g.Expect(l.client.Get(l.ctx, client.ObjectKey{Namespace: "flux-system", Name: "shoot-info"}, shootInfo)).To(Succeed())
		g.Expect(shootInfo.Data).To(And(HaveKeyWithValue("SHOOT_INFO_NAME", l.object.Name), Not(HaveKeyWithValue("SHOOT_INFO_CLUSTER_IDENTITY", "old"))))
	}, timeout).Should(Succeed())
	l.expectNoProblem()
}

// expectManaged checks that the objects are the extension's, with all that was deployed by them.
func (l *listed) expectManaged() {
	l.Eventually(func(g Gomega) {
		for _, object := range []client.Object{l.source, l.root, l.deployment("source-controller")} {
			g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
			g.Expect(render.IsProtected(object.GetAnnotations())).To(BeTrue(), object.GetName())
			g.Expect(object.GetDeletionTimestamp()).To(BeNil())
		}
	}, timeout).Should(Succeed())
	l.Expect(l.root.Object["status"]).To(HaveKey("inventory"))
	l.Expect(l.root.Object["spec"]).To(And(HaveKeyWithValue("path", "clusters/dev"), HaveKeyWithValue("prune", false)))
}
