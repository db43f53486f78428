// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
	"github.com/gardener/gardener/pkg/utils/kubernetes/health"
	"github.com/gardener/gardener/pkg/utils/managedresources"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const targetNamespace = "--extra-target-namespace=flux-system"

var publicRepository = map[string]string{"fluxVersion": "v2.9.4", "repositoryUrl": "https://git.example.com/fleet/shoots"}

var privateRepository = map[string]string{
	"fluxVersion":    "v2.9.4",
	"repositoryUrl":  "ssh://git@git.example.com:2222/fleet/shoots.git",
	"repositoryType": "private",
	"knownHosts":     "[git.example.com]:2222 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl",
}

// managedResource returns the ManagedResource of the given name and what its Secrets hold.
func (s *shoot) managedResource(name string) (*resourcesv1alpha1.ManagedResource, string) {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: name}, managedResource)).To(Succeed())

	secret := &corev1.Secret{}
	s.Expect(managedResource.Spec.SecretRefs).To(HaveLen(1))
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: managedResource.Spec.SecretRefs[0].Name}, secret)).To(Succeed())
	s.Expect(secret.Immutable).To(HaveValue(BeTrue()))
	content, err := managedresources.ExtractObjectsFromSecret(unstructuredDecoder{}, secret)
	s.Expect(err).NotTo(HaveOccurred())

	var names []string
	for _, object := range content {
		names = append(names, object.GetObjectKind().GroupVersionKind().Kind+"/"+object.GetName())
	}
	return managedResource, strings.Join(names, " ")
}

// hold keeps a ManagedResource as gardener-resource-manager does while it has not yet removed its objects.
func (s *shoot) hold(name string) (unhold func()) {
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: name}}
	patch := func(change func(client.Object, string) bool) {
		s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(managedResource), managedResource)).To(Succeed())
		change(managedResource, "resources.gardener.cloud/gardener-resource-manager")
		s.Expect(shared.seedClient.Update(s.ctx, managedResource)).To(Succeed())
	}
	patch(controllerutil.AddFinalizer)
	return func() { patch(controllerutil.RemoveFinalizer) }
}

func (s *shoot) isGone(object client.Object) func() bool {
	return func() bool {
		return apierrors.IsNotFound(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(object), object))
	}
}

func TestReconcileInstallsFluxAndThePrivateRepository(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectSuccess()

	_, installed := s.managedResource(managedresource.Installation)
	s.Expect(installed).To(And(ContainSubstring("Namespace/flux-system"), ContainSubstring("Deployment/source-controller"),
		ContainSubstring("CustomResourceDefinition/kustomizations.kustomize.toolkit.fluxcd.io")))
	_, configured := s.managedResource(managedresource.Configuration)
	s.Expect(strings.Fields(configured)).To(ConsistOf("GitRepository/flux-system", "Kustomization/flux-system", "Secret/flux-source", "ConfigMap/shoot-info"))

	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}, secret)).To(Succeed())
	s.Expect(secret.Data).To(And(HaveKey("identity"), HaveKey("identity.pub"), Not(HaveKey("known_hosts"))), "what is configured is for the shoots that it is configured for")
}

func TestReconcileWithoutARepositoryInstallsOnlyFlux(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(map[string]string{"fluxVersion": "v2.9.4"})
	s.operate("reconcile")
	s.expectSuccess()

	_, configured := s.managedResource(managedresource.Configuration)
	s.Expect(configured).To(Equal("ConfigMap/shoot-info"))
}

func TestOnlyGardenletStartsAnOperation(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	s.extension.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(`{}`)}
	s.Expect(shared.seedClient.Update(s.ctx, s.extension)).To(Succeed())

	other := newShoot(t, targetNamespace)
	other.configure(publicRepository)
	other.operate("reconcile")
	other.expectSuccess()
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	s.Expect(s.extension.Status.ObservedGeneration).To(BeNumerically("<", s.extension.Generation), "changed, but without the operation annotation")
}

// TestADroppedOperationIsBegun leaves an Extension as a leader does that ends after the write that removes the operation annotation.
func TestADroppedOperationIsBegun(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.annotateShoot(map[string]string{"shoot.gardener.cloud/ignore": "true"}) // by default, gardenlet does not heed it
	s.settle()
	asked := fmt.Appendf(nil, `{"metadata":{"annotations":{"gardener.cloud/timestamp":%q}}}`, time.Now().Format(time.RFC3339Nano))
	s.Expect(shared.seedClient.Patch(s.ctx, s.extension, client.RawPatch(types.MergePatchType, asked))).To(Succeed())
	s.Expect(health.CheckExtensionObject(s.extension)).To(MatchError(ContainSubstring("not reconciled yet")))
	s.Eventually(func(g Gomega) {
		g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
		g.Expect(health.CheckExtensionObject(s.extension)).To(Succeed(), "gardenlet waits")
	}, timeout).Should(Succeed())
}

func TestSecondReconcileWritesNothing(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectSuccess()

	secret := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}, secret)).To(Succeed())
	s.settle()
	s.operate("reconcile")

	var writes []string
	written := func() []string {
		writes = append(writes, shared.requests.take(s.control)...)
		return writes
	}
	extension := "/apis/extensions.gardener.cloud/v1alpha1/namespaces/" + s.control + "/extensions/shoot-flux"
	expected := Equal([]string{
		"PATCH " + extension,             // removes the operation annotation
		"PATCH " + extension + "/status", // Processing
		"PATCH " + extension + "/status", // Succeeded
	})
	s.Eventually(written, timeout).Should(expected)
	s.Consistently(written, time.Second).Should(expected)
	s.expectSuccess()
	unchanged := &corev1.Secret{}
	s.Expect(shared.gardenClient.Get(s.ctx, client.ObjectKeyFromObject(secret), unchanged)).To(Succeed())
	s.Expect(unchanged.ResourceVersion).To(Equal(secret.ResourceVersion))
}

func TestMistakesHealByThemselves(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.operate("reconcile")
	s.expectFailure("ConfigMap " + s.project + "/flux-config does not exist in the garden: create it")

	s.configure(map[string]string{"repositoryURL": "https://git.example.com/fleet/shoots"})
	s.expectFailure("ConfigMap " + s.project + "/flux-config in the garden is not valid: ")
	s.Expect(s.extension.Status.LastError.Description).To(And(ContainSubstring("repositoryURL"), ContainSubstring("repositoryUrl")))
	s.Expect(s.extension.Status.LastError.Codes).To(BeEmpty(), "Gardener must go on trying")

	s.configure(publicRepository)
	s.expectSuccess()
	s.Expect(s.extension.Status.LastError).To(BeNil())
}

func TestAMistakeLeavesWhatRunsAlone(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	installation, _ := s.managedResource(managedresource.Installation)
	configuration, _ := s.managedResource(managedresource.Configuration)

	s.configure(map[string]string{"fluxVersion": "newest"})
	s.operate("reconcile")
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "fluxVersion")
	unchanged, _ := s.managedResource(managedresource.Installation)
	s.Expect(unchanged.ResourceVersion).To(Equal(installation.ResourceVersion))
	unchanged, _ = s.managedResource(managedresource.Configuration)
	s.Expect(unchanged.ResourceVersion).To(Equal(configuration.ResourceVersion))
}

// digest is of the configuration that the shoot has.
func (s *shoot) digest(g Gomega) string {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: managedresource.Configuration}, managedResource)).To(Succeed())
	return managedResource.Labels[managedresource.ConfigurationDigestLabel]
}

func digestOf(s *shoot, data map[string]string) string {
	configuration, err := project.Parse(&corev1.ConfigMap{Data: data})
	s.Expect(err).NotTo(HaveOccurred())
	return project.Digest(configuration)
}

// Nobody but the project's admin does anything here.
func TestAChangeOfTheConfigurationReachesTheShootAtOnce(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	other := newShoot(t, targetNamespace)
	other.configure(publicRepository)
	other.operate("reconcile")
	other.expectSuccess()
	other.settle()
	other.lastOperation(other)
	untouched := other.extension.Status.LastOperation.LastUpdateTime

	branch := maps.Clone(publicRepository)
	branch["repositoryBranch"] = "next"
	s.configure(branch)
	s.Eventually(func(g Gomega) { g.Expect(s.digest(g)).To(Equal(digestOf(s, branch))) }, timeout).Should(Succeed())
	s.expectSuccess()

	s.configure(map[string]string{"fluxVersion": "newest"})
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "fluxVersion")
	s.configure(publicRepository)
	s.expectNoProblem()
	s.Expect(s.digest(s)).To(Equal(digestOf(s, publicRepository)))

	other.lastOperation(other)
	s.Expect(other.extension.Status.LastOperation.LastUpdateTime).To(Equal(untouched), "another project's shoot")
}

func TestAChangeOfTheConfigurationDisturbsNobody(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*shoot){
		"hibernated": func(s *shoot) { s.object.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)} },
		"failed": func(s *shoot) {
			s.object.Status.LastOperation = &gardencorev1beta1.LastOperation{Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateFailed}
		},
		"deleted": func(s *shoot) { s.object.DeletionTimestamp = new(metav1.Now()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShoot(t, targetNamespace)
			s.configure(publicRepository)
			s.operate("reconcile")
			s.expectSuccess()
			change(s)
			s.syncCluster()
			awake := newShootOf(t, s.project, "two", targetNamespace)
			awake.operate("reconcile")
			awake.expectSuccess()

			s.configure(map[string]string{"fluxVersion": "v2.9.4"})
			s.Eventually(func(g Gomega) {
				g.Expect(awake.digest(g)).To(Equal(digestOf(s, map[string]string{"fluxVersion": "v2.9.4"})))
			}, timeout).Should(Succeed())
			s.Consistently(func(g Gomega) { g.Expect(s.digest(g)).To(Equal(digestOf(s, publicRepository))) }, time.Second).Should(Succeed())
		})
	}
}

func TestLatestWithoutTheReleaseServer(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(map[string]string{})
	s.operate("reconcile")
	s.expectSuccess()

	s.Eventually(func(g Gomega) {
		events := &eventsv1.EventList{}
		g.Expect(shared.seedClient.List(s.ctx, events, client.InNamespace(s.control))).To(Succeed())
		g.Expect(events.Items).To(ContainElement(And(
			HaveField("Reason", "FluxVersion"), HaveField("Type", corev1.EventTypeWarning), HaveField("Regarding.Name", "shoot-flux"),
			HaveField("Note", And(ContainSubstring(shared.releases.URL+"/latest answered 403"), ContainSubstring("v2.9.4"))),
		)))
	}, timeout).Should(Succeed())
}

func TestResourceManagerWithoutTheNamespace(t *testing.T) {
	t.Parallel()
	s := newShoot(t)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectFailure("to do that now: kubectl -n " + s.project + " annotate shoot one gardener.cloud/operation=reconcile")

	deployment := &appsv1.Deployment{}
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: s.control, Name: "gardener-resource-manager"}, deployment)).To(Succeed())
	deployment.Spec.Template.Spec.Containers[0].Args = []string{targetNamespace}
	s.Expect(shared.seedClient.Update(s.ctx, deployment)).To(Succeed())
	s.expectSuccess()
}

func TestDeleteRemovesTheConfigurationFirstAndBlocksNobody(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	configuration, _ := s.managedResource(managedresource.Configuration)
	installation, _ := s.managedResource(managedresource.Installation)
	unhold := s.hold(managedresource.Configuration)

	s.operate("reconcile")
	s.expectSuccess()
	s.switchOff()
	s.expectFailure("gardener-resource-manager has not yet taken note that it is to leave the objects of ManagedResource " + s.control + "/extension-shoot-flux-installation alone")
	s.takeNote(managedresource.Installation)
	s.expectFailure("ManagedResource " + s.control + "/extension-shoot-flux-configuration is still being deleted")

	other := newShoot(t, targetNamespace) // there is one worker: it must not be waiting for the first shoot
	other.configure(publicRepository)
	other.operate("reconcile")
	other.expectSuccess()
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(installation), installation)).To(Succeed())
	s.Expect(installation.DeletionTimestamp).To(BeNil(), "the installation goes last")

	unhold()
	s.Eventually(s.isGone(configuration), timeout).Should(BeTrue())
	s.Eventually(s.isGone(installation), timeout).Should(BeTrue())
	s.Eventually(s.isGone(s.extension), timeout).Should(BeTrue())
}

// switchOff deletes the Extension as gardenlet does when it is no longer in the Shoot.
func (s *shoot) switchOff() {
	s.operateDeletion()
	s.Expect(shared.seedClient.Delete(s.ctx, s.extension)).To(Succeed())
}

// takeNote says that a ManagedResource is ignored, as gardener-resource-manager does.
func (s *shoot) takeNote(name string) {
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: name}}
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(managedResource), managedResource)).To(Succeed())
	s.Expect(managedResource.Annotations).To(HaveKeyWithValue(resourcesv1alpha1.Ignore, "true"))
	managedResource.Status.Conditions = []gardencorev1beta1.Condition{{
		Type: resourcesv1alpha1.ResourcesApplied, Status: gardencorev1beta1.ConditionTrue, Reason: resourcesv1alpha1.ConditionManagedResourceIgnored,
		LastTransitionTime: metav1.Now(), LastUpdateTime: metav1.Now(),
	}}
	s.Expect(shared.seedClient.Status().Update(s.ctx, managedResource)).To(Succeed())
}

// operateDeletion annotates the Extension as gardenlet does before it deletes it, and each time when it finds that it is not gone yet.
func (s *shoot) operateDeletion() {
	s.Expect(gardenerutils.ConfirmDeletion(s.ctx, shared.seedClient, s.extension)).To(Succeed())
}

func TestWhatLeavesTheShootAlone(t *testing.T) {
	t.Parallel()
	for name, leave := range map[string]func(*shoot){
		"deletion of the shoot": func(s *shoot) {
			s.object.DeletionTimestamp = new(metav1.Now())
			s.syncCluster()
			s.switchOff()
		},
		"migration": func(s *shoot) { s.operate("migrate") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newShoot(t, targetNamespace)
			s.configure(privateRepository)
			s.operate("reconcile")
			s.expectSuccess()
			configuration, _ := s.managedResource(managedresource.Configuration)
			installation, _ := s.managedResource(managedresource.Installation)
			unhold := s.hold(managedresource.Configuration)
			unholdInstallation := s.hold(managedresource.Installation)

			leave(s)
			for _, managedResource := range []*resourcesv1alpha1.ManagedResource{configuration, installation} {
				s.Eventually(func(g Gomega) {
					g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(managedResource), managedResource)).To(Succeed())
					g.Expect(managedResource.DeletionTimestamp).NotTo(BeNil())
					g.Expect(managedResource.Spec.KeepObjects).To(HaveValue(BeTrue()))
				}, timeout).Should(Succeed())
			}
			unhold()
			unholdInstallation()
			s.Eventually(s.isGone(configuration), timeout).Should(BeTrue())
			s.Eventually(s.isGone(installation), timeout).Should(BeTrue())

			secret := &corev1.Secret{}
			s.Expect(shared.gardenClient.Get(s.ctx, client.ObjectKey{Namespace: s.project, Name: sourcesecret.SecretName}, secret)).To(Succeed(), "the key stays")
		})
	}
}

func TestRestoreContinues(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("restore")
	s.expectSuccess()
	s.managedResource(managedresource.Installation)
	s.managedResource(managedresource.Configuration)
}

func TestGardenletKubeconfigIsRotated(t *testing.T) {
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	secret := &corev1.Secret{}
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKey{Namespace: "garden", Name: "gardenlet-kubeconfig"}, secret)).To(Succeed())
	valid := secret.Data

	var err error
	secret.Data, err = gardenKubeconfig("expired")
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(shared.seedClient.Update(s.ctx, secret)).To(Succeed())
	s.operate("reconcile")
	s.expectFailure(`failed to read ConfigMap ` + s.project + `/flux-config in the garden: configmaps "flux-config" is forbidden`)

	secret.Data = valid
	s.Expect(shared.seedClient.Update(s.ctx, secret)).To(Succeed())
	s.expectSuccess()
}
