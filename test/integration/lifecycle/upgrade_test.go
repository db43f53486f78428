// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/mod/semver"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/cluster"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	resourcemanagerconfigv1alpha1 "github.com/gardener/gardener/pkg/apis/config/resourcemanager/v1alpha1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	resourcemanagerclient "github.com/gardener/gardener/pkg/resourcemanager/client"
	resourcemanagercontroller "github.com/gardener/gardener/pkg/resourcemanager/controller/managedresource"
	resourcemanagerpredicate "github.com/gardener/gardener/pkg/resourcemanager/predicate"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

// newest is the release that all upgrades end with.
const newest = "v2.9.4"

// living is a shoot with an API server of its own and its gardener-resource-manager. Flux's controllers don't run.
type living struct {
	*shoot
	config *rest.Config
	client client.Client
	// stateful are the definitions of the kinds whose objects got a status. (Flux 2.1 has taken it away from some.)
	stateful []string
}

func newLiving(t *testing.T) *living {
	s := newShoot(t, targetNamespace)
	return s.live(t, s.startServer(t))
}

// startServer gives the shoot an API server for itself, which the next test gets when this one has ended. That takes most of the time of all integration
// tests: -short leaves it out.
func (s *shoot) startServer(t *testing.T, controllers ...string) *integration.Server {
	if testing.Short() {
		t.Skip("-short: no shoot with an API server of its own")
	}
	server, giveBack, err := shared.servers.Lend(t.Context(), controllers...)
	s.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if t.Failed() {
			_ = server.Stop()
			return
		}
		s.Expect(giveBack(context.WithoutCancel(t.Context()))).To(Succeed())
	})
	return server
}

// live lets the extension reach an API server, until the test ends, and runs the shoot's gardener-resource-manager.
func (s *shoot) live(t *testing.T, server *integration.Server) *living {
	kubeconfig, err := server.AdminKubeconfig()
	s.Expect(err).NotTo(HaveOccurred())
	address, closeGate, err := server.OpenGate()
	s.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(closeGate)
	s.giveAccess(bytes.ReplaceAll(kubeconfig, []byte(server.Config.Host), []byte(address)))
	l := &living{shoot: s, config: integration.WithoutDescriptions(server.Config)}
	l.client, err = client.New(l.config, client.Options{Scheme: resourcemanagerclient.CombinedScheme})
	s.Expect(err).NotTo(HaveOccurred())
	l.startResourceManager(t, l.config)
	return l
}

// startResourceManager runs the controller of gardener-resource-manager that applies ManagedResources.
func (l *living) startResourceManager(t *testing.T, config *rest.Config) {
	mgr, err := manager.New(shared.seed.Config, manager.Options{
		Scheme:     resourcemanagerclient.CombinedScheme,
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{l.control: {}}},
		Controller: controllerconfig.Controller{SkipNameValidation: new(true)},

		GracefulShutdownTimeout: new(time.Duration(-1)),
	})
	l.Expect(err).NotTo(HaveOccurred())
	target, err := cluster.New(config, func(options *cluster.Options) { options.Scheme = resourcemanagerclient.CombinedScheme })
	l.Expect(err).NotTo(HaveOccurred())
	l.Expect(mgr.Add(target)).To(Succeed())
	l.Expect((&resourcemanagercontroller.Reconciler{
		Config: resourcemanagerconfigv1alpha1.ManagedResourceControllerConfig{
			ConcurrentSyncs:     new(5),
			SyncPeriod:          &metav1.Duration{Duration: time.Minute},
			ManagedByLabelValue: new("gardener"),
			AlwaysUpdate:        new(true), // as gardenlet configures it
		},
		RequeueAfterOnDeletionPending: new(200 * time.Millisecond), // by default 5 seconds
		ClassFilter:                   resourcemanagerpredicate.NewClassFilter(resourcemanagerconfigv1alpha1.DefaultResourceClass),
	}).AddToManager(mgr, mgr, target)).To(Succeed())

	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		l.Expect(<-stopped).To(Or(Succeed(), MatchError(context.Canceled)))
	})
}

// get asks for a release, and waits until the shoot has it.
func (l *living) get(version string, allowDowngrade bool) {
	data := map[string]string{"fluxVersion": version, "repositoryUrl": "https://git.example.com/fleet/shoots"}
	if allowDowngrade {
		data["allowDowngrade"] = "true"
	}
	l.configure(data)
	l.operate("reconcile")
	l.expectVersion(version)
}

func (l *living) expectVersion(version string) {
	l.Eventually(func(g Gomega) {
		state, description := l.askedOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), description)
		g.Expect(l.status(g)).To(And(HaveField("Version", version), HaveField("Problem", BeNil())))
	}, timeout).Should(Succeed())
	l.expectApplied(version)
}

// expectApplied waits until gardener-resource-manager has given a release to the shoot.
func (l *living) expectApplied(version string) {
	// Only the metadata: schemas are large, and this asks often.
	definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "gitrepositories.source.toolkit.fluxcd.io"}}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	l.Eventually(func(g Gomega) {
		for _, name := range []string{managedresource.Installation, managedresource.Configuration} {
			managedResource := &resourcesv1alpha1.ManagedResource{}
			g.Expect(shared.seedClient.Get(l.ctx, client.ObjectKey{Namespace: l.control, Name: name}, managedResource)).To(Succeed())
			g.Expect(managedResource.Labels[managedresource.MigratingLabel]).NotTo(Equal("true"))
			applied := v1beta1helper.GetCondition(managedResource.Status.Conditions, resourcesv1alpha1.ResourcesApplied)
			g.Expect(applied).NotTo(BeNil())
			g.Expect(applied.Status).To(Equal(gardencorev1beta1.ConditionTrue), applied.Message)
			g.Expect(managedResource.Status.ObservedGeneration).To(Equal(managedResource.Generation))
		}
		g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(definition), definition)).To(Succeed())
		g.Expect(definition.Labels).To(HaveKeyWithValue("app.kubernetes.io/version", version))
	}, timeout).Should(Succeed())
}

// status is what the Extension says.
func (s *shoot) status(g Gomega) fluxv1alpha1.FluxStatus {
	status := fluxv1alpha1.FluxStatus{}
	g.Expect(s.extension.Status.ProviderStatus).NotTo(BeNil())
	g.Expect(json.Unmarshal(s.extension.Status.ProviderStatus.Raw, &status)).To(Succeed())
	return status
}

// definition is a CustomResourceDefinition of Flux in the shoot.
func (l *living) definition(name string) *apiextensionsv1.CustomResourceDefinition {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	l.Expect(l.client.Get(l.ctx, client.ObjectKey{Name: name}, definition)).To(Succeed())
	return definition
}

// userObject is what a user of the shoot has, in the storage version of the release that the shoot has.
type userObject struct {
	definition, kind, name string
	spec                   map[string]any
}

var userObjects = []userObject{
	{"gitrepositories.source.toolkit.fluxcd.io", "GitRepository", "team", map[string]any{"url": "https://git.example.com/team/apps", "interval": "5m0s"}},
	{"helmrepositories.source.toolkit.fluxcd.io", "HelmRepository", "charts", map[string]any{"url": "https://charts.example.com", "interval": "1h0m0s"}},
	{"kustomizations.kustomize.toolkit.fluxcd.io", "Kustomization", "apps", map[string]any{
		"interval": "10m0s", "prune": true, "path": "./apps", "sourceRef": map[string]any{"kind": "GitRepository", "name": "team"},
	}},
	{"helmreleases.helm.toolkit.fluxcd.io", "HelmRelease", "podinfo", map[string]any{
		"interval": "1h0m0s", "chart": map[string]any{"spec": map[string]any{"chart": "podinfo", "sourceRef": map[string]any{"kind": "HelmRepository", "name": "charts"}}},
	}},
	{"providers.notification.toolkit.fluxcd.io", "Provider", "chat", map[string]any{"type": "slack", "channel": "general"}},
}

func (l *living) unstructured(o userObject) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	definition := l.definition(o.definition)
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			object.SetGroupVersionKind(schema.GroupVersionKind{Group: definition.Spec.Group, Version: version.Name, Kind: o.kind})
		}
	}
	object.SetNamespace("default")
	object.SetName(o.name)
	return object
}

// hasStatus tells whether objects of a kind have a status in the release that the shoot has.
func (l *living) hasStatus(o userObject) bool {
	for _, version := range l.definition(o.definition).Spec.Versions {
		if version.Storage {
			return version.Subresources != nil && version.Subresources.Status != nil
		}
	}
	return false
}

// use makes a user apply objects, and a controller write their status.
func (l *living) use() {
	for _, o := range userObjects {
		object := l.unstructured(o)
		object.Object["spec"] = o.spec
		l.Eventually(func() error { // the API server serves the kind a moment after it has the definition
			return l.client.Apply(l.ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner("kustomize-controller"), client.ForceOwnership)
		}, timeout).Should(Succeed(), o.kind)
		if !l.hasStatus(o) {
			continue
		}
		l.stateful = append(l.stateful, o.definition)
		l.Expect(unstructured.SetNestedSlice(object.Object, []any{map[string]any{
			"type": "Ready", "status": "True", "reason": "Succeeded", "message": "it works", "lastTransitionTime": "2026-01-02T03:04:05Z",
		}}, "status", "conditions")).To(Succeed())
		object.SetManagedFields(nil)
		l.Expect(l.client.Status().Update(l.ctx, object, client.FieldOwner("controller"))).To(Succeed(), o.kind)
	}
}

// expectUserObjects checks that all is still there, with spec and status.
func (l *living) expectUserObjects() {
	for _, o := range userObjects {
		object := l.unstructured(o)
		l.Eventually(func() error { // the API server serves a version a moment after it has the definition
			return l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)
		}, timeout).Should(Succeed(), o.kind)
		for key, value := range o.spec {
			if nested, ok := value.(map[string]any); ok {
				l.Expect(object.Object["spec"]).To(HaveKey(key))
				l.Expect(fmt.Sprint(object.Object["spec"].(map[string]any)[key])).To(ContainSubstring(fmt.Sprint(firstLeaf(nested))))
				continue
			}
			l.Expect(object.Object["spec"]).To(HaveKeyWithValue(key, value), o.kind)
		}
		if !l.hasStatus(o) || !slices.Contains(l.stateful, o.definition) {
			continue
		}
		conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
		l.Expect(err).NotTo(HaveOccurred())
		l.Expect(conditions).To(ConsistOf(HaveKeyWithValue("message", "it works")), o.kind)
	}
}

func firstLeaf(value map[string]any) any {
	for _, nested := range value {
		if deeper, ok := nested.(map[string]any); ok {
			return firstLeaf(deeper)
		}
		return nested
	}
	return ""
}

// expectNothingLeft checks that nothing is left of the releases before.
func (l *living) expectNothingLeft() {
	for _, o := range userObjects {
		definition := l.definition(o.definition)
		var versions []string
		for _, version := range definition.Spec.Versions {
			versions = append(versions, version.Name)
		}
		l.Expect(versions).To(ContainElements(definition.Status.StoredVersions), o.definition)
	}
}

// TestUpgrades goes to the newest release directly, and through all releases that span the history of Flux's API.
//
// FLUX_RELEASES can name a directory with more releases, as the operator's: <version>/gotk-components.yaml. Then it also goes
// from each of them to the newest release, and through all of them.
func TestUpgrades(t *testing.T) {
	t.Parallel()
	paths := [][]string{
		{"v0.24.1", newest},
		{"v0.31.5", newest},
		{"v2.6.4", newest},
		append(fluxreleases.Versions(), newest),
	}
	var more []string
	for _, version := range releasesOfDirectory(t) {
		if semver.Compare(version, newest) < 0 {
			more = append(more, version)
			paths = append(paths, []string{version, newest})
		}
	}
	if len(more) > 0 {
		paths = append(paths, append(more, newest))
	}

	for _, path := range paths {
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			t.Parallel()
			l := newLiving(t)
			for i, version := range path {
				l.get(version, false)
				if i == 0 {
					l.use()
				}
				l.expectUserObjects()
			}
			l.expectNothingLeft()
		})
	}
}

// releasesOfDirectory are the releases in the directory FLUX_RELEASES, oldest first.
func releasesOfDirectory(t *testing.T) []string {
	manifests, err := filepath.Glob(filepath.Join(os.Getenv("FLUX_RELEASES"), "v*", "gotk-components.yaml"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	var versions []string
	for _, path := range manifests {
		versions = append(versions, filepath.Base(filepath.Dir(path)))
	}
	semver.Sort(versions)
	return versions
}

func TestDowngrade(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.get(newest, false)
	l.use()
	l.configure(map[string]string{"fluxVersion": newest, "overrides": "[{selector: {}, config: {flux: {version: v2.6.4}}}]"})
	l.expectProblem(fluxv1alpha1.NotAsConfigured, `Flux v2.9.4 is installed, and v2.6.4, which flux.version in overrides[0] of ConfigMap flux-config asks for, is older`)

	l.get("v2.6.4", true)
	l.expectUserObjects()
	l.get("v0.31.5", true)
	l.expectUserObjects()
	l.expectNothingLeft()
}

// TestDowngradeLosesNothing goes back to a release that doesn't know a kind of which there are objects.
func TestDowngradeLosesNothing(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.get("v0.41.2", false)
	o := userObject{"ocirepositories.source.toolkit.fluxcd.io", "OCIRepository", "images", nil}
	object := l.unstructured(o)
	object.Object["spec"] = map[string]any{"url": "oci://registry.example.com/images", "interval": "5m0s"}
	l.Eventually(func() error { return l.client.Create(l.ctx, object) }, timeout).Should(Succeed(), "the API server serves the kind a moment later")

	l.configure(map[string]string{"config": "flux: {version: v0.31.5, allowDowngrade: true}"})
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "Flux v0.31.5 would replace v0.41.2: it has no kind OCIRepository, and the shoot has objects of this kind, which would be deleted (default/images): "+
		"delete them first, or set flux.version in key config of ConfigMap flux-config to a release that has it")
	l.Expect(l.client.Delete(l.ctx, object)).To(Succeed())
	l.expectVersion("v0.31.5")
}

func TestKubernetesIsTooOld(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.object.Spec.Kubernetes.Version = "1.31.4"
	l.syncCluster()
	l.get("v2.6.4", false)
	l.configure(map[string]string{"fluxVersion": newest})
	l.expectProblem(fluxv1alpha1.NotAsConfigured, "1.31.4")
	l.Expect(l.definition("gitrepositories.source.toolkit.fluxcd.io").Labels).To(HaveKeyWithValue("app.kubernetes.io/version", "v2.6.4"), "nothing is touched")
}

// TestFluxOfSomebodyElse gives the extension to a shoot whose users have installed Flux themselves.
func TestFluxOfSomebodyElse(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	l.get("v2.6.4", false)
	l.use()
	// The seed forgets, as after a migration to another one, and the shoot keeps what it has.
	l.operate("migrate")
	l.expectSuccess()
	l.Expect(client.IgnoreNotFound(shared.seedClient.Delete(l.ctx, l.extension))).To(Succeed())
	l.Eventually(l.isGone(l.extension), timeout).Should(BeTrue())

	l.configure(map[string]string{"fluxVersion": "v2.2.3"})
	l.operate("reconcile")
	l.expectFailure("Flux v2.6.4 is installed, and v2.2.3")
	l.get(newest, false)
	l.expectUserObjects()
}

// TestFloatingVersionMovesOnlyWhenGardenerAsks edits the configuration of a shoot whose version floats.
func TestFloatingVersionMovesOnlyWhenGardenerAsks(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(map[string]string{"fluxVersion": "v2.9.2"})
	s.operate("reconcile")
	s.expectSuccess()

	for _, edit := range []map[string]string{
		{"fluxVersion": "2.9.x"},
		{"fluxVersion": "2.9.x", "repositoryUrl": "https://git.example.com/fleet/shoots"},
		{"fluxVersion": "2.x", "repositoryUrl": "https://git.example.com/fleet/shoots"},
	} {
		s.configure(edit)
		s.Eventually(func(g Gomega) {
			s.lastOperation(g)
			g.Expect(s.status(g).Requested).To(Equal(edit["fluxVersion"]))
			g.Expect(s.digest(g)).To(Equal(digestOf(s, edit)))
		}, timeout).Should(Succeed())
		s.expectSuccess()
		s.Expect(s.status(s).Version).To(Equal("v2.9.2"))
	}

	s.operate("reconcile")
	s.Eventually(func(g Gomega) {
		s.lastOperation(g)
		g.Expect(s.status(g).Version).To(Equal(newest))
	}, timeout).Should(Succeed())

	// A range that what is installed does not satisfy is another matter. But it doesn't go back by itself.
	s.configure(map[string]string{"fluxVersion": "~2.9.0 <2.9.4"})
	s.expectProblem(fluxv1alpha1.NotAsConfigured, "Flux v2.9.4 is installed, and v2.9.3")
}

// TestInstalledReleaseIsNotNeededAgain shows that what runs goes on when its release can't be had any more, as after a restart
// of the extension while the release server is down.
func TestInstalledReleaseIsNotNeededAgain(t *testing.T) {
	t.Parallel()
	l := newLiving(t)
	installing := l.newInterrupted(t, &interruptions{}) // the controller would get the release
	l.configure(map[string]string{"fluxVersion": "v2.7.5", "repositoryUrl": "https://git.example.com/fleet/shoots"})
	l.reconcile(installing)
	l.expectApplied("v2.7.5")
	a := shared.actuator
	restarted := &lifecycle.Actuator{Seed: a.Seed, Garden: a.Garden, Images: a.Images, Sources: a.Sources}
	var err error
	restarted.Releases, err = release.NewCatalogue(release.Options{
		BaseURL: "http://127.0.0.1:1/nobody/listens/here", WaitLimit: time.Minute, // it tries four times
	})
	l.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(restarted.Releases.Close)

	installation, _ := l.managedResource(managedresource.Installation)
	l.state()
	status := l.status(l)
	data := map[string]string{"fluxVersion": "v2.7.5", "repositoryUrl": "https://git.example.com/fleet/others"}
	l.configure(data)
	l.Expect(restarted.Reconcile(l.ctx, log.Log, l.extension)).To(Succeed())
	l.Expect(l.digest(l)).To(Equal(digestOf(l.shoot, data)))
	unchanged, _ := l.managedResource(managedresource.Installation)
	l.Expect(unchanged.Generation).To(Equal(installation.Generation))
	now := l.status(l)
	l.Expect(now.Fields).NotTo(Equal(status.Fields), "that of the URL is another one")
	l.Expect(now.Notices).To(ConsistOf(And(HaveField("Reason", fluxv1alpha1.NoticeFluxVersion), HaveField("Message", HavePrefix("Flux v2.7.5 stays as it is installed: ")))))
	l.Expect(now.Configuration).To(ContainElement(fluxv1alpha1.WrittenField{Field: "repository.url", Value: data["repositoryUrl"], Origin: "project"}))
	status.RepositoryURL, status.Configuration, status.Fields, status.Notices = data["repositoryUrl"], now.Configuration, now.Fields, now.Notices
	l.Expect(now).To(Equal(status))

	l.configure(map[string]string{"fluxVersion": "v2.8.0"})
	l.Eventually(func(g Gomega) {
		g.Expect(restarted.Reconcile(l.ctx, log.Log, l.extension)).To(Succeed())
		g.Expect(l.status(g).Problem).To(HaveValue(HaveField("Message", And(
			ContainSubstring("http://127.0.0.1:1/nobody/listens/here"), ContainSubstring("embedded versions")))))
	}, timeout).Should(Succeed())
}
