// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package status_test runs the controllers that report how Flux gets on, between real API servers: a garden, two seeds, and the
// shoots, for which the API server of their seed stands in. What gardenlet, gardener-resource-manager and Flux would do is done
// by the tests, step by step.
package status_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/config"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/fluxready"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

const (
	// timeout is long enough for a machine that is busy with other tests.
	timeout = time.Minute
	// extensionType is the type, and so the name, of the Extensions.
	extensionType = "shoot-flux"
)

var (
	gardenServer *integration.Server
	gardenClient client.Client
	seeds        [2]*seed
	projects     atomic.Int32
)

// seed is a seed with its way into the garden, whose requests are counted.
type seed struct {
	server *integration.Server
	client client.Client
	garden *gardenProxy
	access []byte
}

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, start))
}

func start(ctx context.Context, servers *integration.Servers) (func(), error) {
	var group errgroup.Group
	group.Go(func() (err error) {
		gardenServer, err = servers.Start(ctx, "garden")
		return err
	})
	for i := range seeds {
		seeds[i] = &seed{}
		group.Go(func() (err error) {
			seeds[i].server, err = servers.StartSeed(ctx, fmt.Sprintf("seed-%d", i))
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	gardenClient = gardenServer.Client
	for i, s := range seeds {
		if err := s.prepare(ctx, fmt.Sprintf("seed-%d", i)); err != nil {
			return nil, err
		}
	}
	return nil, nil
}

// prepare installs, because the seed stands in for its shoots, some CustomResourceDefinitions of Flux, and gives the extension a way into the garden.
func (s *seed) prepare(ctx context.Context, name string) (err error) {
	s.client = s.server.Client
	definitions := []*apiextensionsv1.CustomResourceDefinition{
		definition("source.toolkit.fluxcd.io", "GitRepository", "gitrepositories"), definition("kustomize.toolkit.fluxcd.io", "Kustomization", "kustomizations"),
	}
	if _, err := envtest.InstallCRDs(s.server.Config, envtest.CRDInstallOptions{CRDs: definitions, MaxTime: timeout}); err != nil {
		return err
	}
	if err := s.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "flux-system"}}); err != nil {
		return err
	}
	if s.access, err = s.server.AdminKubeconfig(); err != nil {
		return err
	}
	if s.garden, err = newGardenProxy(); err != nil {
		return err
	}
	return s.giveGarden(ctx, name, "system:masters")
}

// definition is of a kind of Flux that only an old release serves, in its version of then. The shoot's users and Flux write what they like.
func definition(group, kind, plural string) *apiextensionsv1.CustomResourceDefinition {
	anything := &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{Type: "object", XPreserveUnknownFields: new(true)}}
	return &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: plural + "." + group},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: group, Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: kind, ListKind: kind + "List", Plural: plural, Singular: strings.ToLower(kind)},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1beta2", Served: true, Storage: true, Schema: anything,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
			}},
		},
	}
}

// giveGarden writes the kubeconfig with which the extension of the seed reaches the garden, as a user of the given groups.
func (s *seed) giveGarden(ctx context.Context, user string, groups ...string) error {
	kubeconfig := fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","clusters":[{"name":"garden","cluster":{"server":%q}}],"users":[{"name":"extension","user":{}}],`+
		`"contexts":[{"name":"garden","context":{"cluster":"garden","user":"extension"}}],"current-context":"garden"}`, s.garden.URL+"/"+user+"/"+strings.Join(groups, ","))
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}, Data: map[string][]byte{"kubeconfig": kubeconfig}}
	if err := s.client.Create(ctx, secret); err != nil {
		return s.client.Update(ctx, secret)
	}
	return nil
}

// gardenProxy stands between an extension and the garden. It notes the requests, and makes them as the user that the path begins
// with.
type gardenProxy struct {
	*httptest.Server
	mutex sync.Mutex
	noted []string
	// down lets the garden answer nothing.
	down atomic.Bool
}

func newGardenProxy() (*gardenProxy, error) {
	target, err := url.Parse(gardenServer.Config.Host)
	if err != nil || target.Scheme == "" {
		target = &url.URL{Scheme: "https", Host: gardenServer.Config.Host}
	}
	transport, err := rest.TransportFor(gardenServer.Config)
	if err != nil {
		return nil, err
	}
	p := &gardenProxy{}
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(request *httputil.ProxyRequest) {
		parts := strings.SplitN(strings.TrimPrefix(request.In.URL.Path, "/"), "/", 3)
		request.Out.URL.Path = "/" + parts[2]
		request.SetURL(target)
		request.Out.Header.Set("Impersonate-User", parts[0])
		for group := range strings.SplitSeq(parts[1], ",") {
			request.Out.Header.Add("Impersonate-Group", group)
		}
	}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p.mutex.Lock()
		p.noted = append(p.noted, request.Method+" /"+strings.SplitN(strings.TrimPrefix(request.URL.Path, "/"), "/", 3)[2])
		p.mutex.Unlock()
		if p.down.Load() {
			http.Error(w, "the garden is down", http.StatusServiceUnavailable)
			return
		}
		forward.ServeHTTP(w, request)
	}))
	return p, nil
}

// requests are those about a project.
func (p *gardenProxy) requests(project string) []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.DeleteFunc(slices.Clone(p.noted), func(request string) bool { return !strings.Contains(request, "/"+project+"/") })
}

// running is an extension as far as it reports.
type running struct {
	stop func()
	// leads is closed when it is the leader.
	leads <-chan struct{}
}

// startExtension runs what reports to the garden until the test ends or stop is called, and what looks into the shoots if asked for.
func (s *seed) startExtension(t *testing.T, looks bool) *running {
	t.Helper()
	return s.start(t, looks, manager.Options{})
}

// startReplica runs one of several replicas. It gives the lead back when it stops, and keeps it while the machine is busy.
func (s *seed) startReplica(t *testing.T) *running {
	t.Helper()
	return s.start(t, false, manager.Options{
		LeaderElection: true, LeaderElectionID: "reports", LeaderElectionNamespace: v1beta1constants.GardenNamespace, LeaderElectionReleaseOnCancel: true,
		LeaseDuration: new(timeout), RenewDeadline: new(40 * time.Second), RetryPeriod: new(time.Second),
	})
}

func (s *seed) start(t *testing.T, looks bool, election manager.Options) *running {
	t.Helper()
	g := NewWithT(t)
	mgr, err := manager.New(s.server.Config, manager.Options{
		LeaderElection: election.LeaderElection, LeaderElectionID: election.LeaderElectionID, LeaderElectionNamespace: election.LeaderElectionNamespace,
		LeaderElectionReleaseOnCancel: election.LeaderElectionReleaseOnCancel,
		LeaseDuration:                 election.LeaseDuration, RenewDeadline: election.RenewDeadline, RetryPeriod: election.RetryPeriod,
		GracefulShutdownTimeout: new(time.Duration(-1)),

		Metrics:    metricsserver.Options{BindAddress: "0"},
		Controller: config.Controller{SkipNameValidation: new(true)},
		Client:     client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
	g.Expect(err).NotTo(HaveOccurred())
	classes := []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	g.Expect(report.AddToManager(ctx, mgr, report.AddArgs{Garden: garden.GardenletKubeconfig(mgr.GetClient()), Type: extensionType, ExtensionClasses: classes})).To(Succeed())
	if looks {
		g.Expect(fluxready.AddToManager(mgr, fluxready.AddArgs{
			Type: extensionType, ExtensionClasses: classes, PresentedHostKey: presentHostKey, SyncPeriod: time.Second,
		})).To(Succeed())
	}
	stopped := make(chan error, 1)
	go func() { stopped <- mgr.Start(ctx) }()
	r := &running{leads: mgr.Elected(), stop: sync.OnceFunc(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("the extension did not run until it was stopped: %v", err)
		}
	})}
	t.Cleanup(r.stop)
	return r
}

// presentHostKey answers as a Git server whose key has changed.
func presentHostKey(context.Context, string) (string, error) {
	return "ssh-ed25519 SHA256:presented", nil
}

// newProject returns the namespace of a new project in the garden.
func newProject(t *testing.T) string {
	namespace := fmt.Sprintf("garden-p%d", projects.Add(1))
	NewWithT(t).Expect(gardenClient.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	return namespace
}

// shoot is a Shoot on a seed.
type shoot struct {
	Gomega
	t             *testing.T
	seed          *seed
	project, name string
	object        *gardencorev1beta1.Shoot
	extension     *extensionsv1alpha1.Extension
}

// newShoot makes the shoot's namespace, Cluster and Extension in a seed, as gardenlet does.
func (s *seed) newShoot(t *testing.T, project, name string) *shoot {
	t.Helper()
	namespace := "shoot--" + strings.TrimPrefix(project, "garden-") + "--" + name
	created := &shoot{Gomega: NewWithT(t), t: t, seed: s, project: project, name: name}
	created.object = &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{Namespace: project, Name: name, UID: types.UID(project + "/" + name)}}
	created.extension = &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: extensionType}}
	created.extension.Spec.Type = extensionType

	created.Expect(s.client.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed())
	created.syncCluster()
	created.Expect(s.client.Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: v1beta1constants.SecretNameGardenerInternal}, Data: map[string][]byte{"kubeconfig": s.access},
	})).To(Succeed())
	created.Expect(s.client.Create(t.Context(), created.extension)).To(Succeed())
	return created
}

func (s *shoot) syncCluster() {
	s.Expect(extensions.SyncClusterResourceToSeed(s.t.Context(), s.seed.client, s.extension.Namespace, s.object,
		&gardencorev1beta1.CloudProfile{}, &gardencorev1beta1.Seed{})).To(Succeed())
}

// change changes the status of the Extension.
func (s *shoot) change(change func(*extensionsv1alpha1.ExtensionStatus)) {
	s.t.Helper()
	s.Eventually(func() error {
		if err := s.seed.client.Get(s.t.Context(), client.ObjectKeyFromObject(s.extension), s.extension); err != nil {
			return err
		}
		patch := client.MergeFromWithOptions(s.extension.DeepCopy(), client.MergeFromWithOptimisticLock{})
		change(&s.extension.Status)
		return s.seed.client.Status().Patch(s.t.Context(), s.extension, patch)
	}, timeout).Should(Succeed())
}

// say does what the lifecycle controller does when it has succeeded.
func (s *shoot) say(told string) {
	s.change(func(to *extensionsv1alpha1.ExtensionStatus) {
		to.ProviderStatus = &runtime.RawExtension{Raw: []byte(`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxStatus",` + told + `}`)}
		to.LastOperation = extensionscontroller.LastOperation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateSucceeded, 100, "")
		to.LastError = nil
	})
}

// conclude does what the controller of condition FluxReady does, where that is not what is tested.
func (s *shoot) conclude(ready gardencorev1beta1.ConditionStatus, reason, message string) {
	now := metav1.Now()
	s.change(func(to *extensionsv1alpha1.ExtensionStatus) {
		to.Conditions = []gardencorev1beta1.Condition{{Type: fluxv1alpha1.FluxReady, Status: ready, Reason: reason, Message: message, LastTransitionTime: now, LastUpdateTime: now}}
	})
}
