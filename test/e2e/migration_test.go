// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// migrate moves the control plane to another seed, as an operator does, and waits until it works there.
func (s *shootOwner) migrate(to *landscape.Seed) {
	s.Eventually(func() error {
		s.state(s)
		s.shoot.Spec.SeedName = &to.SeedName
		return s.landscape.GardenClient.SubResource("binding").Update(s.t.Context(), s.shoot)
	}, timeout, interval).Should(Succeed())
	s.Eventually(func(g Gomega) {
		state, errs := s.state(g)
		g.Expect(s.shoot.Status.SeedName).To(HaveValue(Equal(to.SeedName)))
		g.Expect(s.shoot.Status.LastOperation.Type).To(Equal(gardencorev1beta1.LastOperationTypeRestore), errs)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), errs)
	}, timeout, interval).Should(Succeed())
	s.seed = to
}

// objects returns all objects in the shoot, without their status, and without what tells who wrote them last.
func (s *shootOwner) objects() map[string]map[string]any {
	c, err := s.landscape.ShootCluster(s.technicalID)
	s.Expect(err).NotTo(HaveOccurred())
	objects := map[string]map[string]any{}
	for _, object := range everything(s.t, s, c.AdminConfig) {
		if slices.Contains([]string{"Endpoints", "EndpointSlice"}, object.GetKind()) {
			continue // they follow pods, whenever kube-controller-manager comes to it
		}
		delete(object.Object, "status")
		for _, field := range []string{"resourceVersion", "managedFields"} {
			unstructured.RemoveNestedField(object.Object, "metadata", field)
		}
		// gardener-resource-manager notes for which seed it works. A Deployment's generation counts changes of annotations too.
		unstructured.RemoveNestedField(object.Object, "metadata", "generation")
		unstructured.RemoveNestedField(object.Object, "metadata", "annotations", resourcesv1alpha1.OriginAnnotation)
		objects[object.GetKind()+" "+client.ObjectKeyFromObject(&object).String()] = object.Object
	}
	return objects
}

// settledObjects are the objects when they don't change any more: some follow others a moment later.
func (s *shootOwner) settledObjects() map[string]map[string]any {
	var objects map[string]map[string]any
	s.Eventually(func() string {
		before := objects
		objects = s.objects()
		return cmp.Diff(before, objects)
	}, timeout, time.Second).Should(BeEmpty())
	return objects
}

// everything returns all objects in a cluster but those that only tell that somebody is alive or what happened.
func everything(t testing.TB, g Gomega, config *rest.Config) []unstructured.Unstructured {
	discovered, err := discovery.NewDiscoveryClientForConfig(config)
	g.Expect(err).NotTo(HaveOccurred())
	lists, err := discovered.ServerPreferredResources()
	g.Expect(err).NotTo(HaveOccurred())
	reader, err := client.New(config, client.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	var objects []unstructured.Unstructured
	for _, list := range lists {
		for _, resource := range list.APIResources {
			if !slices.Contains(resource.Verbs, "list") || resource.Kind == "Event" || resource.Kind == "Lease" {
				continue
			}
			items := &unstructured.UnstructuredList{}
			items.SetGroupVersionKind(schema.FromAPIVersionAndKind(list.GroupVersion, resource.Kind+"List"))
			g.Expect(reader.List(t.Context(), items)).To(Succeed())
			objects = append(objects, items.Items...)
		}
	}
	return objects
}

// fluxProcesses are the ids of the processes of Flux's controllers.
func (s *shootOwner) fluxProcesses() map[string]int {
	ids := map[string]int{}
	for _, name := range []string{fluxcontrollers.SourceController, fluxcontrollers.KustomizeController} {
		process, runs := s.landscape.FluxController(s.technicalID, name)
		s.Expect(runs).To(BeTrue(), name)
		ids[name] = process.PID()
	}
	return ids
}

// expectNothingIn checks that a seed has nothing of the shoot.
func (s *shootOwner) expectNothingIn(seed *landscape.Seed) {
	err := seed.Client.Get(s.t.Context(), client.ObjectKey{Name: s.technicalID}, &corev1.Namespace{})
	s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "namespace: %v", err)
	err = seed.Client.Get(s.t.Context(), client.ObjectKey{Name: s.technicalID}, &extensionsv1alpha1.Cluster{})
	s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "Cluster: %v", err)
	for _, list := range []client.ObjectList{&extensionsv1alpha1.ExtensionList{}, &resourcesv1alpha1.ManagedResourceList{}, &corev1.SecretList{}} {
		s.Expect(seed.Client.List(s.t.Context(), list, client.InNamespace(s.technicalID))).To(Succeed())
		s.Expect(list).To(HaveField("Items", BeEmpty()))
	}
}

// TestControlPlaneMigration moves a shoot to another seed, where the extension continues, and Flux notices nothing of it.
func TestControlPlaneMigration(t *testing.T) {
	parallel(t)
	p := newProject(t, "moves")
	source := p.landscape.Seed
	destination, err := otherSeed()
	p.Expect(err).NotTo(HaveOccurred())
	repository := p.newRepository(false)
	configuration := p.private(repository)
	p.configure(configuration)
	shoot := p.newShootOn(source, "one")
	p.registerKey(repository)
	shoot.expectSucceeded()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	shoot.expectContent()
	shoot.expectHealthy()
	shoot.expectReported(gardencorev1beta1.ConditionTrue, "Normal FluxReady", "Flux has applied revision ")
	key, objects, processes := p.sourceSecret(), shoot.settledObjects(), shoot.fluxProcesses()

	shoot.migrate(destination)
	shoot.expectNothingIn(source)
	shoot.expectHealthy()
	for name, now := range shoot.objects() {
		if before, ok := objects[name]; ok {
			delete(objects, name)
			if diff := cmp.Diff(before, now); diff != "" {
				t.Errorf("%s has been touched:\n%s", name, diff)
			}
		}
	}
	p.Expect(slices.Collect(maps.Keys(objects))).To(BeEmpty(), "what was deleted")
	p.Expect(shoot.fluxProcesses()).To(Equal(processes))
	p.Expect(p.sourceSecret().Data).To(Equal(key.Data))
	state := &gardencorev1beta1.ShootState{}
	err = shared.GardenClient.Get(t.Context(), client.ObjectKeyFromObject(shoot.shoot), state)
	p.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "what the seeds told each other is not kept: %v", err)

	pushMessage(shoot, t, repository, gitserver.DefaultBranch, "on another seed")
	shoot.fetch()
	shoot.expectSynced(repository, gitserver.DefaultBranch)
	p.Expect(shoot.message()).To(Equal("on another seed"))
	p.Expect(shoot.expectRevision(repository, gitserver.DefaultBranch).FluxVersion).To(Equal(fluxVersion))

	pushMessage(shoot, t, repository, "production", "on another branch")
	configuration["repositoryBranch"] = "production"
	p.configure(configuration)
	shoot.expectSynced(repository, "production")
	shoot.expectRevision(repository, "production")
	p.Eventually(p.statusManagers, timeout, interval).Should(HaveLen(1), "the seed that the shoot has left says nothing of it any more")
}

// expectRevision waits until people read that Flux has applied the last commit of a branch.
func (s *shootOwner) expectRevision(repository *gitserver.Repository, branch string) report.ShootStatus {
	s.t.Helper()
	head, err := repository.Head(s.t.Context(), branch)
	s.Expect(err).NotTo(HaveOccurred())
	return s.expectApplied(head)
}

// statusManagers are the writers of ConfigMap flux-status that have a shoot in it.
func (p *projectAdmin) statusManagers() []string {
	configMap := &corev1.ConfigMap{}
	p.Expect(p.landscape.GardenClient.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: report.ConfigMapName}, configMap)).To(Succeed())
	var managers []string
	for _, entry := range configMap.ManagedFields {
		if strings.Contains(entry.FieldsV1.GetRawString(), `"f:one"`) {
			managers = append(managers, entry.Manager)
		}
	}
	return managers
}
