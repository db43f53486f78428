// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package e2e_test does on the local landscape what operators, project admins and shoot owners do, and looks at what they see.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/githubapi"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

const (
	// timeout is long enough for a machine that is busy with other things, and for the longest back-off: a minute.
	timeout  = 3 * time.Minute
	interval = 500 * time.Millisecond
	// goneTimeout is for the Shoots of many tests, which go at the same time.
	goneTimeout = 10 * time.Minute
)

var (
	// shared is the landscape of all tests. Each test has projects of its own.
	shared *landscape.Landscape
	// otherSeed is a second seed of the landscape for those tests that need one.
	otherSeed = sync.OnceValues(func() (*landscape.Seed, error) { return addSeed("other") })
	// addingSeed is held by the test that adds a seed.
	addingSeed sync.Mutex
	// artifacts is a private registry, and github the API of a GitHub, for those tests that need one.
	artifacts = sync.OnceValues(func() (*registry.Registry, error) { return shared.StartRegistry(context.Background()) })
	github    = sync.OnceValues(func() (*githubapi.Server, error) { return shared.StartGitHubAPI() })
	// mirror serves past releases of Flux, as an operator's mirror does.
	mirror *httptest.Server
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run starts the landscape, and stops it when the tests have ended.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "landscape-")
	if err != nil {
		return 0, err
	}
	logFile, err := os.Create(filepath.Join(dir, "landscape.log"))
	if err != nil {
		return 0, err
	}
	defer logFile.Close()
	mirror = httptest.NewServer(fluxreleases.Handler())
	defer mirror.Close()
	log.SetLogger(zap.New(zap.WriteTo(logFile)))
	if shared, err = start(context.Background(), dir, false); err != nil {
		return 0, fmt.Errorf("the landscape did not start: %w", err)
	}
	defer func() {
		if err = errors.Join(err, shared.Stop()); err != nil || code != 0 {
			fmt.Fprintln(os.Stderr, "the logs of the landscape are in", dir)
			return
		}
		err = os.RemoveAll(dir)
	}()
	if code = m.Run(); code != 0 {
		return code, nil
	}
	return code, expectNoShoots(shared.GardenClient)
}

// expectNoShoots waits until all Shoots are gone whose deletion the tests have ordered.
func expectNoShoots(garden client.Client) error {
	var left []string
	var failed error
	err := wait.PollUntilContextTimeout(context.Background(), interval, goneTimeout, true, func(ctx context.Context) (bool, error) {
		shoots := &gardencorev1beta1.ShootList{}
		failed = garden.List(ctx, shoots)
		left = nil
		for _, shoot := range shoots.Items {
			left = append(left, fmt.Sprintf("%s (%v)", client.ObjectKeyFromObject(&shoot), shoot.Status.LastErrors))
		}
		return failed == nil && len(left) == 0, nil
	})
	if err != nil {
		return fmt.Errorf("not all Shoots go, there are %s: %w", strings.Join(left, ", "), errors.Join(err, failed))
	}
	return nil
}

// newDirectory is for a landscape of one test. If the test fails, it stays.
func newDirectory(t *testing.T) string {
	g := NewWithT(t)
	dir, err := os.MkdirTemp("", "landscape-")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if t.Failed() {
			t.Log("the logs of the landscape are in", dir)
			return
		}
		g.Expect(os.RemoveAll(dir)).To(Succeed())
	})
	return dir
}

// newLandscape is start for one test.
func newLandscape(t *testing.T, old bool) *landscape.Landscape {
	g := NewWithT(t)
	l, err := start(t.Context(), newDirectory(t), old)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(l.Stop()).To(Succeed()) })
	return l
}

// start starts a landscape and registers the extension, as an operator does. In an old landscape, the extension uses
// gardenlet's access to the garden, in a current one its own.
func start(ctx context.Context, dir string, old bool) (*landscape.Landscape, error) {
	bin, err := process.FindBinaries()
	if err != nil {
		return nil, err
	}
	l, err := landscape.Start(ctx, landscape.Options{Dir: dir, Bin: bin, OldLandscape: old, Progress: os.Stderr, Log: log.Log})
	if err != nil {
		return nil, err
	}
	if err := register(ctx, l, old); err != nil {
		return nil, errors.Join(fmt.Errorf("the extension could not be registered: %w", err), l.Stop())
	}
	return l, nil
}

func register(ctx context.Context, l *landscape.Landscape, old bool) error {
	manifests := []string{"controller-registration.yaml"}
	if !old {
		manifests = append(manifests, "garden/rights.yaml", "garden/policies.yaml")
	}
	for _, name := range manifests {
		manifest, err := os.ReadFile(filepath.Join("../../example", name))
		if err != nil {
			return err
		}
		if err := l.Garden.ApplyYAML(ctx, manifest); err != nil {
			return err
		}
	}

	// The tests kill the extension, and want it to be there between two shoots. With two replicas, another one would do what they want to see left undone;
	// those have a landscape of their own.
	deployment := &gardencorev1.ControllerDeployment{ObjectMeta: metav1.ObjectMeta{Name: "shoot-flux"}}
	values := fmt.Appendf(nil, `{"injectGardenKubeconfig":%t,"helm":{"values":{"replicaCount":1,"flux":{"releases":{"url":%q,"ociRepository":""}},`+
		`"controllers":{"fluxReady":{"syncPeriod":"3s"}}}}}`, !old, mirror.URL)
	if err := l.GardenClient.Patch(ctx, deployment, client.RawPatch(types.MergePatchType, values)); err != nil {
		return err
	}
	// Last, so that Gardener installs it only like this, and the process that is there is the one that stays.
	registration := &gardencorev1beta1.ControllerRegistration{ObjectMeta: metav1.ObjectMeta{Name: "shoot-flux"}}
	if err := l.GardenClient.Patch(ctx, registration, client.RawPatch(types.MergePatchType, []byte(`{"spec":{"deployment":{"policy":"Always"}}}`))); err != nil {
		return err
	}
	return wait.PollUntilContextTimeout(ctx, interval, timeout, true, func(context.Context) (bool, error) {
		return l.Seed.ExtensionProcess() != nil, nil
	})
}

// slots are for the tests that run side by side. There are more of them than processors, because tests also wait.
var slots = make(chan struct{}, 4)

// parallel lets a test run beside others as soon as there is a slot for it. (The slots of package testing are given away in no order, and TestRelease must not
// wait for one: it takes as long as all others together.)
func parallel(t *testing.T) {
	t.Parallel()
	slots <- struct{}{}
	t.Cleanup(func() { <-slots })
}

// addSeed adds a seed to the landscape of all tests.
func addSeed(name string) (*landscape.Seed, error) {
	addingSeed.Lock()
	defer addingSeed.Unlock()
	return shared.AddSeed(context.Background(), name)
}

// newProject creates a project for one test and returns it without a configuration.
func newProject(t testing.TB, name string) *projectAdmin {
	return newProjectIn(t, shared, name)
}

func newProjectIn(t testing.TB, l *landscape.Landscape, name string) *projectAdmin {
	p := &projectAdmin{Gomega: NewWithT(t), t: t, landscape: l}
	var err error
	p.namespace, err = l.CreateProject(t.Context(), name)
	p.Expect(err).NotTo(HaveOccurred())
	p.name = name
	return p
}

// projectAdmin does what the admin of a project does.
type projectAdmin struct {
	Gomega
	t               testing.TB
	landscape       *landscape.Landscape
	name, namespace string
}

// configure writes flux-config, or replaces it.
func (p *projectAdmin) configure(data map[string]string) {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: project.ConfigMapName}, Data: data}
	if err := p.landscape.GardenClient.Create(p.t.Context(), configMap); err != nil {
		p.Expect(p.landscape.GardenClient.Update(p.t.Context(), configMap)).To(Succeed())
	}
}

// newRepository makes a repository with realistic content.
func (p *projectAdmin) newRepository(public bool) *gitserver.Repository {
	repository, err := p.landscape.Git.CreateRepository(p.t.Context(), p.name+"/fleet", public)
	p.Expect(err).NotTo(HaveOccurred())
	return repository
}

// private is the configuration for a private repository. The extension does not ask servers on the loopback interface for
// their host keys.
func (p *projectAdmin) private(repository *gitserver.Repository) map[string]string {
	url, err := repository.SSHURL()
	p.Expect(err).NotTo(HaveOccurred())
	knownHosts, err := p.landscape.Git.KnownHosts()
	p.Expect(err).NotTo(HaveOccurred())
	return map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url, "repositoryType": "private", "knownHosts": string(knownHosts)}
}

// sourceSecret is the project's Secret flux-source in the garden.
func (p *projectAdmin) sourceSecret() *corev1.Secret {
	secret := &corev1.Secret{}
	p.Eventually(func() error {
		return p.landscape.GardenClient.Get(p.t.Context(), client.ObjectKey{Namespace: p.namespace, Name: "flux-source"}, secret)
	}, timeout, interval).Should(Succeed())
	return secret
}

// registerKey registers the project's public key at the Git server.
func (p *projectAdmin) registerKey(repository *gitserver.Repository) {
	p.Expect(repository.RegisterKey(p.sourceSecret().Data["identity.pub"])).To(Succeed())
}

// newShoot creates the example's Shoot on the first seed, and orders its deletion when the test ends, so that not all clusters run
// at once. That it goes is seen when all tests have ended, see expectNoShoots.
func (p *projectAdmin) newShoot(name string) *shootOwner {
	return p.newShootOn(p.landscape.Seed, name)
}

// newShootOn creates the Shoot on the given seed, with changes to the example.
func (p *projectAdmin) newShootOn(seed *landscape.Seed, name string, changes ...func(*gardencorev1beta1.Shoot)) *shootOwner {
	shoot := p.exampleShoot(name)
	shoot.Spec.SeedName = &seed.SeedName
	for _, change := range changes {
		change(shoot)
	}
	p.Eventually(func() error { // gardener-apiserver may not have heard of its CredentialsBinding yet
		return client.IgnoreAlreadyExists(p.landscape.GardenClient.Create(p.t.Context(), shoot))
	}, timeout, interval).Should(Succeed())

	s := &shootOwner{Gomega: p.Gomega, t: p.t, landscape: p.landscape, seed: seed, shoot: shoot, technicalID: "shoot--" + p.name + "--" + name}
	p.t.Cleanup(func() { s.orderDeletion(context.WithoutCancel(p.t.Context())) })
	return s
}

// exampleShoot is the Shoot of the example, with another name.
func (p *projectAdmin) exampleShoot(name string) *gardencorev1beta1.Shoot {
	manifest, err := os.ReadFile("../../example/shoot.yaml")
	p.Expect(err).NotTo(HaveOccurred())
	shoot := &gardencorev1beta1.Shoot{}
	p.Expect(yaml.Unmarshal(manifest, shoot)).To(Succeed())
	shoot.Namespace, shoot.Name = p.namespace, name
	return shoot
}

// shootOwner does what the owner of a shoot does.
type shootOwner struct {
	Gomega
	t           testing.TB
	landscape   *landscape.Landscape
	seed        *landscape.Seed
	shoot       *gardencorev1beta1.Shoot
	technicalID string
	cached      client.Client
}

// cluster is a client of the shoot, with all rights.
func (s *shootOwner) cluster() client.Client {
	if s.cached == nil {
		s.Eventually(func() error {
			c, err := s.landscape.ShootCluster(s.technicalID)
			if err != nil {
				return err
			}
			s.cached, err = client.New(c.AdminConfig, client.Options{Scheme: fluxScheme(s.Gomega)})
			return err
		}, timeout, interval).Should(Succeed())
	}
	return s.cached
}

func fluxScheme(g Gomega) *runtime.Scheme {
	fluxScheme := runtime.NewScheme()
	g.Expect(errors.Join(scheme.AddToScheme(fluxScheme), apiextensionsv1.AddToScheme(fluxScheme), sourcev1.AddToScheme(fluxScheme), kustomizev1.AddToScheme(fluxScheme))).To(Succeed())
	return fluxScheme
}

// state returns the last operation's state and all errors of the Shoot, as `kubectl describe shoot` shows them.
func (s *shootOwner) state(g Gomega) (gardencorev1beta1.LastOperationState, string) {
	g.Expect(s.landscape.GardenClient.Get(s.t.Context(), client.ObjectKeyFromObject(s.shoot), s.shoot)).To(Succeed())
	g.Expect(s.shoot.Status.LastOperation).NotTo(BeNil())
	var errs string
	for _, lastError := range s.shoot.Status.LastErrors {
		errs += lastError.Description + "\n"
	}
	return s.shoot.Status.LastOperation.State, errs
}

func (s *shootOwner) expectSucceeded() {
	s.Eventually(func(g Gomega) {
		state, errs := s.state(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), errs)
	}, timeout, interval).Should(Succeed())
}

func (s *shootOwner) expectError(sentence string) {
	s.Eventually(func(g Gomega) {
		_, errs := s.state(g)
		g.Expect(errs).To(ContainSubstring(sentence))
	}, timeout, interval).Should(Succeed())
}

// reconcile asks Gardener to reconcile the Shoot now, and waits until that has begun, and no operation of before is still under way.
func (s *shootOwner) reconcile() {
	patch := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"gardener.cloud/operation":"reconcile"}}}`))
	s.Expect(s.landscape.GardenClient.Patch(s.t.Context(), s.shoot, patch)).To(Succeed())
	asked := s.shoot.Generation
	s.Eventually(func(g Gomega) {
		s.state(g)
		g.Expect(s.shoot.Status.ObservedGeneration).To(BeNumerically(">=", asked))
	}, timeout, interval).Should(Succeed())
}

// expectSynced waits until the shoot shows the last commit of a branch.
func (s *shootOwner) expectSynced(repository *gitserver.Repository, branch string) {
	head, err := repository.Head(s.t.Context(), branch)
	s.Expect(err).NotTo(HaveOccurred())
	s.Eventually(func(g Gomega) {
		kustomization := &kustomizev1.Kustomization{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: flux.Namespace, Name: flux.Name}, kustomization)).To(Succeed())
		g.Expect(kustomization.Status.LastAppliedRevision).To(HaveSuffix(head), "%v", kustomization.Status.Conditions)
		g.Expect(meta.IsStatusConditionTrue(kustomization.Status.Conditions, fluxmeta.ReadyCondition)).To(BeTrue())
	}, timeout, interval).Should(Succeed())
}

// fetch asks Flux to look at the source now, as `flux reconcile source` does, instead of within a minute.
func (s *shootOwner) fetch() {
	kustomization := &kustomizev1.Kustomization{}
	s.Eventually(func() error { // what is wrong with the source may be known before the Kustomization is there
		return s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: flux.Namespace, Name: flux.Name}, kustomization)
	}, timeout, interval).Should(Succeed())
	followed := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: flux.Namespace, Name: flux.Name}}
	followed.SetGroupVersionKind(sourcev1.GroupVersion.WithKind(kustomization.Spec.SourceRef.Kind))
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`,
		fluxmeta.ReconcileRequestAnnotation, time.Now().Format(time.RFC3339Nano)))
	s.Expect(s.cluster().Patch(s.t.Context(), followed, patch)).To(Succeed())
}

// expectSourceError waits until Flux tells why it cannot read the repository.
func (s *shootOwner) expectSourceError(words string) {
	s.Eventually(func(g Gomega) {
		gitRepository := &sourcev1.GitRepository{}
		g.Expect(s.cluster().Get(s.t.Context(), client.ObjectKey{Namespace: flux.Namespace, Name: flux.Name}, gitRepository)).To(Succeed())
		ready := meta.FindStatusCondition(gitRepository.Status.Conditions, fluxmeta.ReadyCondition)
		g.Expect(ready).NotTo(BeNil())
		g.Expect(ready.Status).To(Equal(metav1.ConditionFalse))
		g.Expect(ready.Message).To(ContainSubstring(words))
	}, timeout, interval).Should(Succeed())
}

// delete confirms and orders the deletion of the Shoot, and waits until it is gone. It may be gone already.
func (s *shootOwner) delete(ctx context.Context) {
	if s.orderDeletion(ctx) {
		s.expectGone(ctx)
	}
}

// orderDeletion confirms and orders the deletion of the Shoot. It tells whether there was something to delete.
func (s *shootOwner) orderDeletion(ctx context.Context) bool {
	return confirmAndDelete(ctx, s.Gomega, s.landscape.GardenClient, s.shoot)
}

// confirmAndDelete orders the deletion of what Gardener deletes only if that is confirmed. It tells whether there is something to delete.
func confirmAndDelete(ctx context.Context, g Gomega, garden client.Client, object client.Object) bool {
	confirmation := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"annotations":{"confirmation.gardener.cloud/deletion":"true"}}}`))
	err := garden.Patch(ctx, object, confirmation)
	if apierrors.IsNotFound(err) {
		return false
	}
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(garden.Delete(ctx, object)).To(Succeed())
	return true
}

func (s *shootOwner) expectGone(ctx context.Context) {
	s.Eventually(func() error {
		return s.landscape.GardenClient.Get(ctx, client.ObjectKeyFromObject(s.shoot), s.shoot)
	}, timeout, interval).Should(MatchError(ContainSubstring("not found")), func() string {
		return fmt.Sprintf("Shoot %s is still there: %+v", s.technicalID, s.shoot.Status.LastErrors)
	})
}
