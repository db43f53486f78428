// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// written is what the status says of a field: who has written which value.
func (s *shoot) written(g Gomega) []fluxv1alpha1.WrittenField { return s.status(g).Configuration }

// TestLayersReachExactlyTheShootsConcerned: of two shoots of a project, only the one that is to have something else is reconciled.
func TestLayersReachExactlyTheShootsConcerned(t *testing.T) {
	t.Parallel()
	one := newShoot(t, targetNamespace)
	two := newShootOf(t, one.project, "two", targetNamespace)
	one.object.Labels = map[string]string{"stage": "dev"}
	one.syncCluster()
	two.setRawProviderConfig(&runtime.RawExtension{Raw: []byte(`{"repository":{"path":"two"}}`)})
	data := maps.Clone(publicRepository)
	data["overrides"] = "[{selector: {matchLabels: {stage: dev}}, config: {repository: {branch: next}}}]"
	one.configure(data)
	for _, s := range []*shoot{one, two} {
		s.operate("reconcile")
		s.expectSuccess()
	}
	one.Expect(one.written(one)).To(ConsistOf(
		fluxv1alpha1.WrittenField{Field: "flux.version", Value: "v2.9.4", Origin: "project"},
		fluxv1alpha1.WrittenField{Field: "repository.url", Value: "https://git.example.com/fleet/shoots", Origin: "project"},
		fluxv1alpha1.WrittenField{Field: "repository.branch", Value: "next", Origin: "overrides[0]"},
	))
	two.Expect(two.written(two)).To(ContainElement(fluxv1alpha1.WrittenField{Field: "repository.path", Value: "./two", Origin: "shoot"}))
	_, configured := two.managedResource(managedresource.Configuration)
	two.Expect(configured).To(ContainSubstring("Kustomization/flux-system"))

	reconciled := func(s *shoot) metav1.Time {
		s.lastOperation(s)
		return s.extension.Status.LastOperation.LastUpdateTime
	}
	two.settle()
	before, digest := reconciled(two), one.digest(one)
	data["overrides"] = "[{selector: {matchLabels: {stage: dev}}, config: {repository: {branch: later}}}]"
	one.configure(data)
	one.Eventually(func(g Gomega) { g.Expect(one.digest(g)).NotTo(Equal(digest)) }, timeout).Should(Succeed())
	one.expectSuccess()
	one.Expect(reconciled(two)).To(Equal(before), "its labels are others")

	// What a shoot has of its own hides a change of the project.
	before, digest = reconciled(two), one.digest(one)
	data["repositoryPath"] = "other"
	one.configure(data)
	one.Eventually(func(g Gomega) { g.Expect(one.digest(g)).NotTo(Equal(digest)) }, timeout).Should(Succeed())
	one.Expect(reconciled(two)).To(Equal(before), "it has another path")

	// gardenlet reconciles a shoot whose labels it has seen change.
	digest = one.digest(one)
	one.object.Labels = map[string]string{"stage": "prod"}
	one.syncCluster()
	one.operate("reconcile")
	one.Eventually(func(g Gomega) { g.Expect(one.digest(g)).NotTo(Equal(digest)) }, timeout).Should(Succeed())
	one.expectSuccess()
	one.Expect(one.written(one)).NotTo(ContainElement(HaveField("Field", "repository.branch")))
}

// TestDigestOfAFormerReleaseCounts: it was of what the project's admin had written alone.
func TestDigestOfAFormerReleaseCounts(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.setProviderConfig("removalPolicy", "keep-flux")
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.settle()
	has, _ := s.managedResource(managedresource.Configuration)
	s.Expect(s.digest(s)).NotTo(Equal(digestOf(s, publicRepository)))
	patch := client.MergeFrom(has.DeepCopy())
	has.Labels[managedresource.ConfigurationDigestLabel] = digestOf(s, publicRepository)
	s.Expect(shared.seedClient.Patch(s.ctx, has, patch)).To(Succeed())

	s.lastOperation(s)
	before := s.extension.Status.LastOperation.LastUpdateTime
	same := maps.Clone(publicRepository)
	same["repositoryBranch"] = "main"
	s.configure(same)
	other := newShootOf(t, s.project, "other", targetNamespace)
	other.operate("reconcile")
	other.expectSuccess()
	s.lastOperation(s)
	s.Expect(s.extension.Status.LastOperation.LastUpdateTime).To(Equal(before))
}

// TestProjectDeniesOverrides: a shoot keeps what it has until nothing is written for it.
func TestProjectDeniesOverrides(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.setProviderConfig("removalPolicy", "keep-flux")
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	has, _ := s.managedResource(managedresource.Configuration)

	denying := maps.Clone(publicRepository)
	denying["shootOverrides"] = "deny"
	s.configure(denying)
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "the project does not allow its shoots to differ (key shootOverrides of ConfigMap flux-config)")
	unchanged, _ := s.managedResource(managedresource.Configuration)
	s.Expect(unchanged.ResourceVersion).To(Equal(has.ResourceVersion))

	s.setRawProviderConfig(nil)
	s.operate("reconcile")
	s.expectNoProblem()
}

// newUnwatched makes an Extension that only the test reconciles.
func (s *shoot) newUnwatched() {
	s.extension.Name = "unwatched"
	s.extension.Spec.Class = new(extensionsv1alpha1.ExtensionClassGarden)
	s.Expect(shared.seedClient.Create(s.ctx, s.extension)).To(Succeed())
}

// reconcileWith reconciles by an actuator with defaults of the landscape, and returns the status. The Extension may be another one than the seed has.
func (s *shoot) reconcileWith(defaults string, changes ...func(*extensionsv1alpha1.Extension)) (fluxv1alpha1.FluxStatus, error) {
	read, err := project.ReadDefaults(defaults)
	s.Expect(err).NotTo(HaveOccurred())
	a := shared.actuator
	actuator := &lifecycle.Actuator{Seed: a.Seed, Garden: a.Garden, Releases: a.Releases, Images: a.Images, Sources: a.Sources, Defaults: read}
	ex := &extensionsv1alpha1.Extension{}
	s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), ex)).To(Succeed())
	ex.Spec.ProviderConfig = s.extension.Spec.ProviderConfig
	for _, change := range changes {
		change(ex)
	}
	err = actuator.Reconcile(s.ctx, log.Log, ex)
	return fluxv1alpha1.StatusOf(ex), err
}

func TestDefaultsOfTheLandscape(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.newUnwatched()
	_, err := s.reconcileWith("")
	s.Expect(err).To(MatchError(ContainSubstring("does not exist in the garden: create it")))

	const defaults = "{flux: {version: v2.9.4}, repository: {url: https://git.example.com/landscape}}"
	status, err := s.reconcileWith(defaults)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(status.RepositoryURL).To(Equal("https://git.example.com/landscape"))
	s.Expect(status.Configuration).To(HaveEach(HaveField("Origin", "landscape")))

	s.configure(map[string]string{"repositoryBranch": "next"})
	status, err = s.reconcileWith(defaults)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(status.Configuration).To(ContainElement(fluxv1alpha1.WrittenField{Field: "repository.branch", Value: "next", Origin: "project"}))
}

// TestDeletedConfigMapChangesNothing: what the shoots have is not taken for what the landscape or the shoot says besides.
func TestDeletedConfigMapChangesNothing(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.newUnwatched()
	s.configure(publicRepository)
	const defaults = "repository: {url: https://git.example.com/landscape}"
	_, err := s.reconcileWith(defaults)
	s.Expect(err).NotTo(HaveOccurred())
	before, _ := s.managedResource(managedresource.Configuration)

	s.Expect(shared.gardenClient.Delete(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: project.ConfigMapName}})).To(Succeed())
	for _, written := range []struct{ defaults, providerConfig string }{{defaults, "{}"}, {"", `{"flux": {}, "additionalSecretResources": []}`}} {
		s.extension.Spec.ProviderConfig = &runtime.RawExtension{Raw: []byte(written.providerConfig)}
		status, err := s.reconcileWith(written.defaults)
		s.Expect(err).NotTo(HaveOccurred())
		s.Expect(status.Problem).NotTo(BeNil())
		s.Expect(status.Problem.Message).To(ContainSubstring("does not exist in the garden any more, so the shoot keeps what it has: create it again"))
		after, _ := s.managedResource(managedresource.Configuration)
		s.Expect(after.ResourceVersion).To(Equal(before.ResourceVersion))
	}

	s.extension.Spec.ProviderConfig = nil
	s.configure(map[string]string{})
	status, err := s.reconcileWith(defaults)
	s.Expect(err).NotTo(HaveOccurred())
	s.Expect(status.Problem).To(BeNil())
	s.Expect(status.RepositoryURL).To(Equal("https://git.example.com/landscape"), "somebody has said so")
}

// TestEachRefusalLeavesWhatRunsAlone has all that is refused, in any layer.
func TestEachRefusalLeavesWhatRunsAlone(t *testing.T) {
	t.Parallel()
	file, err := os.ReadFile("../../../pkg/project/testdata/refusals.golden.json")
	g := NewWithT(t)
	g.Expect(err).NotTo(HaveOccurred())
	refusals := map[string]struct {
		Defaults, ProviderConfig, Error string
		Data                            map[string]string
		NoConfigMap, HadConfigMap       bool
	}{}
	g.Expect(json.Unmarshal(file, &refusals)).To(Succeed())
	g.Expect(len(refusals)).To(BeNumerically(">", 150))

	s := newShoot(t, targetNamespace)
	s.newUnwatched()
	s.configure(publicRepository)
	_, err = s.reconcileWith("")
	s.Expect(err).NotTo(HaveOccurred())
	versions := func() []string {
		installation, _ := s.managedResource(managedresource.Installation)
		configuration, _ := s.managedResource(managedresource.Configuration)
		return []string{installation.ResourceVersion, configuration.ResourceVersion}
	}
	before := versions()
	for _, name := range slices.Sorted(maps.Keys(refusals)) {
		tc := refusals[name]
		s.configure(tc.Data)
		if tc.NoConfigMap {
			s.Expect(shared.gardenClient.Delete(s.ctx, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: project.ConfigMapName}})).To(Succeed())
		}
		s.extension.Spec.ProviderConfig = nil
		if tc.ProviderConfig != "" {
			raw, err := yaml.YAMLToJSON([]byte(tc.ProviderConfig))
			s.Expect(err).NotTo(HaveOccurred())
			s.extension.Spec.ProviderConfig = &runtime.RawExtension{Raw: raw}
		}
		status, err := s.reconcileWith(tc.Defaults, func(ex *extensionsv1alpha1.Extension) {
			state, err := fluxv1alpha1.StateOf(ex)
			s.Expect(err).NotTo(HaveOccurred())
			state.HasConfigMap = tc.HadConfigMap
			s.Expect(fluxv1alpha1.SetState(ex, state)).To(Succeed())
			said := fluxv1alpha1.StatusOf(ex)
			said.Configuration = nil // it says the same
			s.Expect(fluxv1alpha1.SetStatus(ex, said)).To(Succeed())
		})
		s.Expect(err).NotTo(HaveOccurred(), name)
		s.Expect(status.Problem).NotTo(BeNil(), name)
		want := strings.NewReplacer("garden-dev", s.project).Replace(tc.Error)
		s.Expect(status.Problem.Message).To(HavePrefix(want[:min(len(want), 100)]), name)
		s.Expect(versions()).To(Equal(before), name)
	}
}
