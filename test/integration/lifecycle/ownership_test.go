// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"maps"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apiextensions-apiserver/pkg/apihelpers"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

var ownedByUsers = map[string]string{"fluxVersion": "v2.2.3", "repositoryUrl": "https://git.example.com/fleet/shoots", "installation": "once"}

// with returns the data with other values.
func with(data map[string]string, keysAndValues ...string) map[string]string {
	changed := maps.Clone(data)
	for i := 0; i < len(keysAndValues); i += 2 {
		changed[keysAndValues[i]] = keysAndValues[i+1]
	}
	return changed
}

// expectConfigured waits until the shoot has what was configured. That includes that gardener-resource-manager has seen it, and all
// that was changed before in the seed.
func (l *living) expectConfigured(data map[string]string) {
	l.Eventually(func(g Gomega) {
		l.expectSuccess()
		g.Expect(l.digest(g)).To(Equal(digestOf(l.shoot, data)))
		configuration, _ := l.managedResource(managedresource.Configuration)
		g.Expect(managedresource.CheckApplied(configuration)).To(Succeed())
	}, timeout).Should(Succeed())
}

// upgradeByUsers applies a release as the users' repository would, without the extension.
func (l *living) upgradeByUsers(version string) {
	l.installByUsers(version, "flux-system")
}

// installByUsers does what `flux install --namespace` does. It waits until the API server has written the status of the definitions.
func (l *living) installByUsers(version, namespace string) {
	flux, err := shared.actuator.Releases.Get(l.ctx, version)
	l.Expect(err).NotTo(HaveOccurred())
	var definitions []string
	for document := range strings.SplitSeq(strings.ReplaceAll(string(flux.Manifests), "flux-system", namespace), "\n---\n") {
		object := &unstructured.Unstructured{}
		l.Expect(yaml.Unmarshal([]byte(document), &object.Object)).To(Succeed())
		if len(object.Object) == 0 {
			continue
		}
		l.Expect(l.client.Apply(l.ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kustomize-controller"), client.ForceOwnership)).To(Succeed())
		if object.GetKind() == "CustomResourceDefinition" {
			definitions = append(definitions, object.GetName())
		}
	}
	for _, name := range definitions {
		l.Eventually(func() bool { return apihelpers.IsCRDConditionTrue(l.definition(name), apiextensionsv1.Established) }, timeout).Should(BeTrue(), name)
	}
}

func (l *living) installation() *resourcesv1alpha1.ManagedResource {
	installation, _ := l.managedResource(managedresource.Installation)
	return installation
}

func (l *living) versionOfFlux() string {
	return l.definition("gitrepositories.source.toolkit.fluxcd.io").Labels["app.kubernetes.io/version"]
}

// expectLeftAlone checks that the users' Flux, which lacks a controller, stays as it is, although gardener-resource-manager would have
// a reason to look.
func (l *living) expectLeftAlone(version string) {
	l.Expect(l.installation().Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"))
	installation := l.touch(managedresource.Installation)
	data := with(ownedByUsers, "repositoryBranch", "probe-"+installation.ResourceVersion)
	l.configure(data)
	l.operate("reconcile")
	l.expectConfigured(data)
	l.Expect(l.exists(l.deployment("notification-controller"))).To(BeFalse(), "drift is not repaired")
	l.Expect(l.versionOfFlux()).To(Equal(version))
}

func TestInstallationOnce(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.configure(ownedByUsers)
	l.operate("reconcile")
	l.expectVersion("v2.2.3")
	l.use()
	l.Expect(l.installation().Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"))
	l.Expect(l.client.Delete(l.ctx, l.deployment("notification-controller"))).To(Succeed())
	l.expectLeftAlone("v2.2.3")

	other := with(ownedByUsers, "fluxVersion", newest)
	l.configure(other)
	l.expectConfigured(other)
	l.Expect(l.versionOfFlux()).To(Equal("v2.2.3"), "another version is not followed")
	l.operate("reconcile")
	l.expectSuccess()
	l.Expect(l.versionOfFlux()).To(Equal("v2.2.3"))

	// The users upgrade, and what the extension still gives them fits.
	l.upgradeByUsers("v2.6.4")
	l.Expect(l.client.Delete(l.ctx, l.deployment("notification-controller"))).To(Succeed())
	l.operate("reconcile")
	l.Eventually(func(g Gomega) {
		l.expectSuccess()
		g.Expect(l.status(g)).To(And(HaveField("Version", "v2.6.4"), HaveField("Origin", "shoot"), HaveField("Requested", newest)))
	}, timeout).Should(Succeed())
	l.expectLeftAlone("v2.6.4")
	l.expectUserObjects()

	// Back to managed: what the users have counts, not what was once installed.
	l.configure(map[string]string{"fluxVersion": "v2.2.3", "repositoryUrl": "https://git.example.com/fleet/shoots"})
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "Flux v2.6.4 is installed, and v2.2.3")
	l.get(newest, false)
	l.Expect(l.installation().Annotations).NotTo(HaveKey(resourcesv1alpha1.Ignore))
	l.Expect(l.exists(l.deployment("notification-controller"))).To(BeTrue(), "drift is repaired")
	l.expectUserObjects()
}

// TestUsersFluxDoesNotPruneItself has a Flux of the shoot's users that is deployed from the repository that it follows, as after `flux bootstrap`.
// What Flux does then is in test/landscape/fluxcontrollers.
func TestUsersFluxDoesNotPruneItself(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*living, map[string]string){
		"another path": func(l *living, data map[string]string) { l.follow(with(data, "repositoryPath", "another")) },
		// As long as gardener-resource-manager has not taken note, the seed does not say whose Flux it is.
		"another path at once": func(l *living, data map[string]string) {
			l.Expect(shared.seedClient.Patch(l.ctx, l.installation(), client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"annotations":{"resources.gardener.cloud/ignore":null}}}`)))).To(Succeed())
			l.follow(with(data, "repositoryPath", "another"))
		},
		"switched off": func(l *living, data map[string]string) {
			l.follow(with(data, "removalPolicy", "delete-workloads"))
			l.switchOff()
			l.expectSwitchedOff()
		},
	} {
		t.Run(name, func(t *testing.T) {
			l := newLiving(t)
			l.upgradeByUsers("v2.6.4")
			deployed := client.RawPatch("application/merge-patch+json",
				[]byte(`{"metadata":{"labels":{"kustomize.toolkit.fluxcd.io/name":"flux-system","kustomize.toolkit.fluxcd.io/namespace":"flux-system"}}}`))
			controller, definition := l.deployment("source-controller"), l.definition("gitrepositories.source.toolkit.fluxcd.io")
			for _, object := range []client.Object{controller, definition} {
				l.Expect(l.client.Patch(l.ctx, object, deployed)).To(Succeed())
			}
			prevented := func(object client.Object) any {
				l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
				return object.GetAnnotations()["kustomize.toolkit.fluxcd.io/prune"]
			}
			data := with(ownedByUsers, "removalPolicy", "keep-workloads")
			l.follow(data)
			l.operate("reconcile")
			l.expectSuccess()
			l.Expect(prevented(controller)).To(BeEmpty(), "as long as nothing changes, it is the users' affair")

			change(l, data)
			for _, object := range []client.Object{controller, definition} {
				l.Expect(prevented(object)).To(Equal("disabled"), object.GetName())
			}
		})
	}
}

// follow changes the project's configuration, and waits until the shoot has it.
func (l *living) follow(data map[string]string) {
	l.configure(data)
	l.operate("reconcile")
	l.expectConfigured(data)
}

// TestInstallationOnceOfAManagedShoot leaves a Flux to the users that the extension has managed before.
func TestInstallationOnceOfAManagedShoot(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(map[string]string{"fluxVersion": "v2.9.2"})
	s.operate("reconcile")
	s.expectSuccess()
	before, _ := s.managedResource(managedresource.Installation)
	before.Status.Resources = []resourcesv1alpha1.ObjectReference{{ObjectReference: corev1.ObjectReference{APIVersion: "v1", Kind: "Namespace", Name: "flux-system"}}}
	s.Expect(shared.seedClient.Status().Update(s.ctx, before)).To(Succeed())
	s.setRawProviderConfig(&runtime.RawExtension{Raw: []byte(`{"installation":"once","flux":{"version":"v2.9.4"}}`)})
	s.operate("reconcile")
	s.expectProblem(fluxv1alpha1.UnderWay, "the shoot gets Flux, which then belongs to its users (installation: once): gardener-resource-manager has not yet applied ManagedResource "+
		s.control+"/extension-shoot-flux-installation to the shoot")
	after, _ := s.managedResource(managedresource.Installation)
	s.Expect(after.Labels).To(HaveKeyWithValue(managedresource.ProtectedLabel, "false"))

	// gardener-resource-manager applies it.
	after.Status.ObservedGeneration = after.Generation
	after.Status.Conditions = []gardencorev1beta1.Condition{{
		Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue, LastTransitionTime: metav1.Now(), LastUpdateTime: metav1.Now(),
	}}
	s.Expect(shared.seedClient.Status().Update(s.ctx, after)).To(Succeed())
	s.expectNoProblem()
	after, _ = s.managedResource(managedresource.Installation)
	s.Expect(after.Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"))

	s.expectEvent(fluxv1alpha1.NoticeLeftToUsers, "Flux v2.9.2, which the extension has managed, belongs to the shoot's users from now on, as it is: it is neither upgraded nor repaired any more "+
		"(installation: once, which comes from the providerConfig of the shoot). To take it back, set installation in the providerConfig of the shoot to managed")
	s.Expect(s.state()).To(And(HaveField("OwnedByUsers", true), HaveField("RequestedVersion", "v2.9.2")))
	s.expectEvent(fluxv1alpha1.NoticeFieldIgnored, HavePrefix("version v2.9.4 of Flux has no effect: Flux belongs to the shoot's users, who can upgrade it"))
}

// TestInstallationOnceAfterMigration brings a shoot with its users' Flux to another seed, which has nothing but the shoot, and
// switches the extension off there.
func TestInstallationOnceAfterMigration(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, with(ownedByUsers, "fluxVersion", "v2.6.4"))
	l.operate("migrate")
	l.expectSuccess()
	l.Expect(client.IgnoreNotFound(shared.seedClient.Delete(l.ctx, l.extension))).To(Succeed())
	l.Eventually(l.isGone(l.extension), timeout).Should(BeTrue())
	l.expectNothingInSeed()
	l.Expect(l.client.Delete(l.ctx, l.deployment("notification-controller"))).To(Succeed())

	l.configure(with(ownedByUsers, "fluxVersion", newest))
	l.operate("restore")
	l.expectNoProblem() // and not still under way
	l.Expect(l.versionOfFlux()).To(Equal("v2.6.4"), "the seed that takes over upgrades nothing")
	l.expectLeftAlone("v2.6.4")
	l.expectUserObjects()

	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), configMap.Name)
	}
}

func TestInstallationOnceWithoutKinds(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.configure(ownedByUsers)
	l.operate("reconcile")
	l.expectVersion("v2.2.3")
	definition := l.definition("kustomizations.kustomize.toolkit.fluxcd.io")
	l.Expect(l.client.Delete(l.ctx, definition)).To(Succeed())
	l.Eventually(func() bool {
		return apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKeyFromObject(definition), definition))
	}, timeout).Should(BeTrue())
	l.operate("reconcile")
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "the Flux of the shoot belongs to its users (installation: once), and can't follow the project's repository without "+
		"CustomResourceDefinition kustomizations.kustomize.toolkit.fluxcd.io: install it again, or set key installation of ConfigMap flux-config to managed")
}
