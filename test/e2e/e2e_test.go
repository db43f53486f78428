// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

const fluxVersion = "v2.9.4"

// TestRelease installs the extension from a release in a private registry, as an operator does who has only that: gardenlet pulls the chart by its
// digest, and two replicas of what is in the image run as the image's user. Then replicas end in several ways, the next release comes under load, and
// at last gardener-operator installs it in place of the ControllerRegistration.
//
// It takes by far the longest, and runs beside all others. Its steps are in release_test.go and replicas_test.go.
func TestRelease(t *testing.T) {
	t.Parallel()
	i := newInstallation(t)
	i.applyRegistration(oldRelease)
	p := newProjectIn(t, i.Landscape, "released")
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	one := p.newShoot("one")
	p.registerKey(repository)
	one.expectSynced(repository, gitserver.DefaultBranch)
	one.expectSucceeded()
	i.expectReplicas(oldRelease)
	i.expectWebhooks(one)

	two := i.killLeader(p, repository, one)
	i.endLeader(p, one)
	i.renewGardenAccess()
	i.upgrade(repository, one, two)

	one.delete(t.Context())
	two.delete(t.Context())
	i.installByOperator(p, repository)
}

// expectContent checks that the shoot shows the repository's content: a Namespace, a CustomResourceDefinition and a resource
// of it, and a Deployment that a patch gave three replicas.
func (s *shootOwner) expectContent() {
	s.Eventually(func(g Gomega) {
		deployment := &appsv1.Deployment{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, deployment)).To(Succeed())
		g.Expect(deployment.Status.AvailableReplicas).To(BeEquivalentTo(3))

		plan := &unstructured.Unstructured{}
		plan.SetGroupVersionKind(schema.GroupVersionKind{Group: "platform.example.org", Version: "v1", Kind: "BackupPlan"})
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: "nightly"}, plan)).To(Succeed())
	}, timeout, interval).Should(Succeed())
}

// message is what the shoot's ConfigMap says.
func (s *shootOwner) message() string {
	configMap := &corev1.ConfigMap{}
	s.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: "shop", Name: "shop"}, configMap)).To(Succeed())
	return configMap.Data["PODINFO_UI_MESSAGE"]
}

// messageFile is the file of the repository that has the message.
const messageFile = "apps/base/shop/configmap.yaml"

func messageManifest(message string) string {
	return "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: shop\ndata:\n  PODINFO_UI_MESSAGE: " + message + "\n"
}

// pushMessage returns the commit.
func pushMessage(g Gomega, t testing.TB, repository *gitserver.Repository, branch, message string) string {
	commit, err := repository.Commit(t.Context(), branch, "Say "+message, map[string]string{messageFile: messageManifest(message)})
	g.Expect(err).NotTo(HaveOccurred())
	return commit
}

func TestPrivateRepository(t *testing.T) {
	parallel(t)
	p := newProject(t, "private")
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	first := p.newShoot("one")
	p.registerKey(repository)
	first.expectSucceeded()
	first.expectSynced(repository, gitserver.DefaultBranch)
	first.expectContent()
	first.expectHealthy()

	pushMessage(first, t, repository, gitserver.DefaultBranch, "hello")
	first.fetch()
	first.expectSynced(repository, gitserver.DefaultBranch)
	first.Expect(first.message()).To(Equal("hello"))

	// Another shoot of the project reuses the key.
	key := p.sourceSecret()
	second := p.newShoot("two")
	second.expectSucceeded()
	second.expectSynced(repository, gitserver.DefaultBranch)
	second.Expect(second.message()).To(Equal("hello"))
	p.Expect(p.sourceSecret().Data).To(Equal(key.Data))
}

// TestProjectsAreApart shows that one project cannot read what another one can.
func TestProjectsAreApart(t *testing.T) {
	parallel(t)
	admin, stranger := newProject(t, "apart"), newProject(t, "stranger")
	repository, otherRepository := admin.newRepository(false), stranger.newRepository(false)
	configuration := admin.private(repository)
	admin.configure(configuration)
	stranger.configure(configuration)
	shoot, strangers := admin.newShoot("one"), stranger.newShoot("one")
	admin.registerKey(repository)
	stranger.registerKey(otherRepository)

	shoot.expectSynced(repository, gitserver.DefaultBranch)
	strangers.expectSourceError("does not exist, or the key is not registered for it")
	stranger.Expect(stranger.sourceSecret().Data["identity"]).NotTo(Equal(admin.sourceSecret().Data["identity"]))

	stranger.configure(stranger.private(otherRepository))
	strangers.reconcile()
	strangers.expectSynced(otherRepository, gitserver.DefaultBranch)
}

// expectHealthy waits until the Shoot says that its system components, Flux among them, are healthy.
func (s *shootOwner) expectHealthy() {
	s.Eventually(func(g Gomega) {
		s.state(g)
		condition := v1beta1helper.GetCondition(s.shoot.Status.Conditions, gardencorev1beta1.ShootSystemComponentsHealthy)
		g.Expect(condition).NotTo(BeNil())
		g.Expect(condition.Status).To(Equal(gardencorev1beta1.ConditionTrue), condition.Message)
	}, timeout, interval).Should(Succeed())
}

func TestPublicRepository(t *testing.T) {
	parallel(t)
	p := newProject(t, "public")
	repository := p.newRepository(true)
	url, err := repository.HTTPURL()
	p.Expect(err).NotTo(HaveOccurred())
	p.configure(map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url})
	shoot := p.newShoot("one")
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectContent()

	for where, c := range map[string]client.Client{p.namespace: shared.GardenClient, "flux-system": shoot.cluster()} {
		err := c.Get(t.Context(), client.ObjectKey{Namespace: where, Name: sourcesecret.SecretName}, &corev1.Secret{})
		p.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "no key is made for a public repository: %v", err)
	}
}

// TestMistakes makes the mistakes that people make, reads what they see, and repairs them.
func TestMistakes(t *testing.T) {
	parallel(t)
	p := newProject(t, "mistakes")
	repository := p.newRepository(false)
	configuration := p.private(repository)
	shoot := p.newShoot("one")
	shoot.expectError("ConfigMap garden-mistakes/flux-config does not exist in the garden: create it")

	p.configure(map[string]string{"fluxversion": fluxVersion})
	shoot.expectError("ConfigMap garden-mistakes/flux-config in the garden is not valid: ")
	shoot.expectError("fluxVersion")

	delete(configuration, "knownHosts")
	p.configure(configuration)
	shoot.expectError("secret garden-mistakes/flux-source in the garden: could not ask 127.0.0.1:")
	shoot.expectError("knownHosts")

	p.configure(p.private(repository))
	shoot.expectSucceeded()
	shoot.expectSourceError("unable to authenticate")
	p.registerKey(repository)
	shoot.expectSynced(repository, gitserver.DefaultBranch)

	// Now that the shoot has Flux, a mistake keeps gardenlet from nothing.
	p.configure(map[string]string{"fluxversion": fluxVersion})
	shoot.expectReported(gardencorev1beta1.ConditionFalse, "Warning NotAsConfigured", "ConfigMap garden-mistakes/flux-config in the garden is not valid: ")
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)

	configuration = p.private(repository)
	configuration["repositoryBranch"] = "nowhere"
	p.configure(configuration)
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.expectSourceError("nowhere")
	pushMessage(shoot, t, repository, "production", "on another branch")
	configuration["repositoryBranch"] = "production"
	p.configure(configuration)
	shoot.reconcile()
	shoot.expectSynced(repository, "production")
	shoot.Expect(shoot.message()).To(Equal("on another branch"))
}

// TestTwoSeeds creates two shoots of a project on two seeds at the same moment. Both extensions want to make the project's key.
func TestTwoSeeds(t *testing.T) {
	parallel(t)
	p := newProject(t, "seeds")
	other, err := otherSeed()
	p.Expect(err).NotTo(HaveOccurred())
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	shoots := []*shootOwner{p.newShoot("one"), p.newShootOn(other, "two")}
	p.registerKey(repository)

	for _, shoot := range shoots {
		shoot.expectSucceeded()
		shoot.expectSynced(repository, gitserver.DefaultBranch)
		secret := &corev1.Secret{}
		p.Expect(shoot.cluster().Get(t.Context(), client.ObjectKey{Namespace: "flux-system", Name: sourcesecret.SecretName}, secret)).To(Succeed())
		p.Expect(secret.Data["identity"]).To(Equal(p.sourceSecret().Data["identity"]))
	}
}

// TestOldLandscape runs a landscape without the SeedAuthorizer, in which the extension reaches the garden by the kubeconfig
// of gardenlet, and lets the certificate in it expire after it was replaced.
func TestOldLandscape(t *testing.T) {
	parallel(t)
	l := newLandscape(t, true)
	p := newProjectIn(t, l, "rotation")
	p.configure(map[string]string{"fluxVersion": fluxVersion})
	shoot := p.newShoot("one")
	shoot.expectSucceeded()
	const lifetime = 15 * time.Second
	p.Expect(l.WriteGardenletKubeconfig(t.Context(), lifetime)).To(Succeed())
	expired := time.Now().Add(lifetime)
	shoot.reconcile()

	p.Expect(l.WriteGardenletKubeconfig(t.Context(), 24*time.Hour)).To(Succeed())
	p.Eventually(time.Now, timeout, interval).Should(BeTemporally(">", expired))
	shoot.reconcile()
	shoot.expectSucceeded()
	shoot.delete(t.Context())
}

// TestResync makes gardener-resource-manager apply everything once more, as it does each hour: it repairs drift, and what is
// as it should be does not change. (It sends an update for each object all the same: gardenlet configures it so.)
func TestResync(t *testing.T) {
	parallel(t)
	p := newProject(t, "resync")
	repository := p.newRepository(false)
	p.configure(p.private(repository))
	shoot := p.newShoot("one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectHealthy()

	for name, drift := range map[string]client.Object{
		managedresource.Installation:  &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: "notification-controller"}},
		managedresource.Configuration: &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: sourcesecret.SecretName}},
	} {
		p.Expect(shoot.cluster().Delete(t.Context(), drift)).To(Succeed())
		before := shoot.versions(name)
		updates := shoot.updatesOfResourceManager()
		shoot.resync(name)
		p.Eventually(func() error {
			return shoot.cluster().Get(t.Context(), client.ObjectKeyFromObject(drift), drift)
		}, timeout, interval).Should(Succeed())
		p.Eventually(func() int { return shoot.updatesOfResourceManager() - updates }, timeout, interval).Should(BeNumerically(">=", len(before)))
		t.Logf("%s: %d updates of %d objects", name, shoot.updatesOfResourceManager()-updates, len(before))

		after := shoot.versions(name)
		for object, version := range before {
			p.Expect(after).To(HaveKeyWithValue(object, version))
		}
	}
}

// versions returns the version of each object of a ManagedResource that exists: the generation, which a change of the status
// leaves alone, or the resource version for kinds that have no generation.
func (s *shootOwner) versions(name string) map[string]string {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	s.Expect(s.seed.Client.Get(s.t.Context(), client.ObjectKey{Namespace: s.technicalID, Name: name}, managedResource)).To(Succeed())
	versions := map[string]string{}
	for _, reference := range managedResource.Status.Resources {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(schema.FromAPIVersionAndKind(reference.APIVersion, reference.Kind))
		if err := s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: reference.Namespace, Name: reference.Name}, object); err != nil {
			s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
			continue
		}
		version := "resource version " + object.ResourceVersion
		if object.Generation != 0 {
			version = fmt.Sprintf("generation %d", object.Generation)
		}
		versions[reference.Kind+" "+reference.Namespace+"/"+reference.Name] = version
	}
	s.Expect(versions).NotTo(BeEmpty())
	return versions
}

// updatesOfResourceManager counts the updates that the shoot's gardener-resource-manager has sent.
func (s *shootOwner) updatesOfResourceManager() int {
	cluster, err := s.landscape.ShootCluster(s.technicalID)
	s.Expect(err).NotTo(HaveOccurred())
	requests, err := cluster.Requests()
	s.Expect(err).NotTo(HaveOccurred())
	updates := 0
	for _, event := range requests {
		if event.User.Username == "system:serviceaccount:kube-system:gardener-resource-manager" && event.Verb == "update" && event.ObjectRef.Resource != "leases" {
			updates++
		}
	}
	return updates
}

// resync asks gardener-resource-manager to apply a ManagedResource.
func (s *shootOwner) resync(name string) {
	managedResource := &resourcesv1alpha1.ManagedResource{ObjectMeta: metav1.ObjectMeta{Namespace: s.technicalID, Name: name}}
	patch := client.RawPatch("application/merge-patch+json", []byte(`{"metadata":{"annotations":{"gardener.cloud/operation":"reconcile"}}}`))
	s.Expect(s.seed.Client.Patch(s.t.Context(), managedResource, patch)).To(Succeed())
}
