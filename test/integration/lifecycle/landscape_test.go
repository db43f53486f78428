// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle_test runs the lifecycle controller, as in production, between two real API servers: a garden and a
// seed. What gardenlet and gardener-resource-manager would do is done by the tests, step by step.
package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/fluxreleases"
	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
)

// landscape is the garden and the seed that the tests share. Each test has a project of its own.
type landscape struct {
	servers                  *integration.Servers
	garden, seed             *integration.Server
	gardenClient, seedClient client.Client
	actuator                 *lifecycle.Actuator
	releases                 *httptest.Server
	// access is a kubeconfig of shoots in which nothing happens: the API server of the seed stands in for theirs.
	access   []byte
	requests *requestLog
	projects atomic.Int32
	// silent has the addresses of Git servers that say nothing, and a chan struct{} each that is closed when they are no longer waited for.
	silent sync.Map
}

// dial connects to Git servers. It waits for a silent one however busy the machine is.
func (l *landscape) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if gaveUp, ok := l.silent.Load(address); ok {
		<-gaveUp.(chan struct{})
		return nil, errors.New("the Git server says nothing")
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

var shared *landscape

func TestMain(m *testing.M) {
	os.Exit(integration.Run(m, start))
}

func start(ctx context.Context, servers *integration.Servers) (stopped func(), err error) {
	shared = &landscape{servers: servers, requests: &requestLog{}}
	var group errgroup.Group
	group.Go(func() (err error) {
		shared.garden, err = servers.Start(ctx, "garden")
		return err
	})
	group.Go(func() (err error) {
		shared.seed, err = servers.StartSeed(ctx, "seed")
		return err
	})
	if err := group.Wait(); err != nil {
		return nil, err
	}
	shared.gardenClient, shared.seedClient = shared.garden.Client, shared.seed.Client
	if err := giveAccess(ctx); err != nil {
		return nil, err
	}
	shared.releases = httptest.NewServer(http.HandlerFunc(serveReleases))
	mgr, err := newManager(ctx)
	if err != nil {
		return nil, err
	}
	reporter, err := newReporter(ctx)
	if err != nil {
		return nil, err
	}
	var running sync.WaitGroup
	for _, mgr := range []manager.Manager{mgr, reporter} {
		running.Go(func() {
			if err := mgr.Start(ctx); err != nil {
				panic(err)
			}
		})
	}
	return func() {
		running.Wait()
		shared.releases.Close()
	}, nil
}

// serveReleases serves past releases, but does not tell which one is the latest.
func serveReleases(w http.ResponseWriter, request *http.Request) {
	if request.URL.Path == "/latest" {
		http.Error(w, "rate limit exceeded", http.StatusForbidden)
		return
	}
	fluxreleases.Handler().ServeHTTP(w, request)
}

// giveAccess writes the kubeconfig with which gardenlet reaches the garden.
func giveAccess(ctx context.Context) (err error) {
	if shared.access, err = shared.seed.AdminKubeconfig(); err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}}
	if secret.Data, err = gardenKubeconfig("gardenlet", "system:masters"); err != nil {
		return err
	}
	return shared.seedClient.Create(ctx, secret)
}

// gardenKubeconfig is the data of Secret gardenlet-kubeconfig for a user of the garden.
func gardenKubeconfig(user string, groups ...string) (map[string][]byte, error) {
	kubeconfig, err := shared.garden.Kubeconfig(user, groups...)
	return map[string][]byte{"kubeconfig": kubeconfig}, err
}

// newManager runs the controller with a single worker, so that a worker that waits for one shoot shows, and tries again sooner than in
// production.
func newManager(ctx context.Context) (manager.Manager, error) {
	config := rest.CopyConfig(shared.seed.Config)
	config.Wrap(shared.requests.wrap)
	mgr, err := manager.New(config, manager.Options{Metrics: metricsserver.Options{BindAddress: "0"}, GracefulShutdownTimeout: new(time.Duration(-1))})
	if err != nil {
		return nil, err
	}
	seed, err := client.New(config, client.Options{Scheme: mgr.GetScheme(), Mapper: mgr.GetRESTMapper()})
	if err != nil {
		return nil, err
	}
	releases, err := release.NewCatalogue(release.Options{
		BaseURL: shared.releases.URL, Directory: os.Getenv("FLUX_RELEASES"),
		WaitLimit: time.Minute, // the race detector makes rendering slow
	})
	if err != nil {
		return nil, err
	}
	shared.actuator = &lifecycle.Actuator{
		Seed:     seed,
		Garden:   garden.GardenletKubeconfig(seed),
		Releases: releases,
		Images:   func() (render.Images, error) { return render.Images{}, nil },
		Sources:  sourcesecret.NewKeeper(shared.dial),

		GardenIdentity: "garden-prod",
		SettlingTime:   2 * time.Second,
	}
	return mgr, lifecycle.AddToManager(ctx, mgr, shared.actuator, lifecycle.AddArgs{
		ControllerOptions: controller.Options{
			MaxConcurrentReconciles: 1,
			RateLimiter:             workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](100*time.Millisecond, 2*time.Second),
		},
		ExtensionClasses:               []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot},
		ReconcileOnConfigurationChange: true,
	})
}

// newReporter makes events of what the lifecycle controller notes, which waits for that before it lets an Extension go. What it writes is not
// in the log of requests.
func newReporter(ctx context.Context) (manager.Manager, error) {
	mgr, err := manager.New(shared.seed.Config, manager.Options{
		Metrics: metricsserver.Options{BindAddress: "0"}, GracefulShutdownTimeout: new(time.Duration(-1)),
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
	if err != nil {
		return nil, err
	}
	return mgr, report.AddToManager(ctx, mgr, report.AddArgs{
		Garden: shared.actuator.Garden, Type: lifecycle.Type, ExtensionClasses: []extensionsv1alpha1.ExtensionClass{extensionsv1alpha1.ExtensionClassShoot},
	})
}

// shoot is a Shoot of a project of its own.
type shoot struct {
	Gomega
	ctx              context.Context
	project, control string // the project's namespace in the garden, the shoot's namespace in the seed
	object           *gardencorev1beta1.Shoot
	extension        *extensionsv1alpha1.Extension
	asked            time.Time // when an operation was asked for
}

// newShoot makes everything that gardenlet makes before it asks the extension: in the seed the shoot's namespace, Cluster
// and gardener-resource-manager, the last with the arguments that the webhook gives it.
func newShoot(t *testing.T, resourceManagerArgs ...string) *shoot {
	project := fmt.Sprintf("garden-p%d", shared.projects.Add(1))
	NewWithT(t).Expect(shared.gardenClient.Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: project}})).To(Succeed())
	return newShootOf(t, project, "one", resourceManagerArgs...)
}

// newShootOf is newShoot in an existing project.
func newShootOf(t *testing.T, project, name string, resourceManagerArgs ...string) *shoot {
	s := &shoot{Gomega: NewWithT(t), ctx: t.Context(), project: project, control: "shoot--" + strings.TrimPrefix(project, "garden-") + "--" + name}
	s.object = &gardencorev1beta1.Shoot{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: name}}
	s.object.Spec.Kubernetes.Version = "1.36.3"
	s.object.Spec.Provider.Workers = []gardencorev1beta1.Worker{{Name: "pool"}}
	s.extension = &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: lifecycle.Type}}
	s.extension.Spec.Type = lifecycle.Type

	s.Expect(shared.seedClient.Create(s.ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.control, Labels: map[string]string{
		v1beta1constants.GardenRole: v1beta1constants.GardenRoleShoot,
	}}})).To(Succeed())
	t.Cleanup(s.forget)
	s.syncCluster()
	s.giveAccess(shared.access)
	s.Expect(shared.seedClient.Create(s.ctx, resourceManagerDeployment(s.control, resourceManagerArgs))).To(Succeed())
	return s
}

// forget lets the controller forget the shoot: it would try again and again what an ended test has left.
func (s *shoot) forget() {
	ctx := context.WithoutCancel(s.ctx)
	s.Expect(client.IgnoreNotFound(shared.seedClient.Delete(ctx, s.extension))).To(Succeed())
	noFinalizers := client.RawPatch(types.MergePatchType, []byte(`{"metadata":{"finalizers":null}}`))
	s.Expect(client.IgnoreNotFound(shared.seedClient.Patch(ctx, s.extension, noFinalizers))).To(Succeed())
}

// giveAccess writes the Secret by which gardenlet and extensions reach the shoot's API server.
func (s *shoot) giveAccess(kubeconfig []byte) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.control, Name: v1beta1constants.SecretNameGardenerInternal}}
	secret.Data = map[string][]byte{"kubeconfig": kubeconfig}
	if err := shared.seedClient.Create(s.ctx, secret); err != nil {
		s.Expect(shared.seedClient.Update(s.ctx, secret)).To(Succeed())
	}
}

func resourceManagerDeployment(namespace string, args []string) *appsv1.Deployment {
	labels := map[string]string{"app": "gardener-resource-manager"}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "gardener-resource-manager"}}
	deployment.Spec.Selector = &metav1.LabelSelector{MatchLabels: labels}
	deployment.Spec.Template.Labels = labels
	deployment.Spec.Template.Spec.Containers = []corev1.Container{{Name: "gardener-resource-manager", Image: "registry.example/grm:v1.150.0", Args: args}}
	return deployment
}

func (s *shoot) syncCluster() {
	s.Expect(extensions.SyncClusterResourceToSeed(s.ctx, shared.seedClient, s.control, s.object,
		&gardencorev1beta1.CloudProfile{}, &gardencorev1beta1.Seed{})).To(Succeed())
}

// configure writes the project's ConfigMap.
func (s *shoot) configure(data map[string]string) {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: project.ConfigMapName}, Data: data}
	if err := shared.gardenClient.Create(s.ctx, configMap); err != nil {
		s.Expect(shared.gardenClient.Update(s.ctx, configMap)).To(Succeed())
	}
}

// operate asks for an operation as gardenlet does. The time in a status has whole seconds: it waits until that of the operation before is past, so
// that the two can't be taken for each other.
func (s *shoot) operate(operation string) {
	asked := time.Now()
	s.extension.ResourceVersion = ""
	s.extension.Annotations = map[string]string{v1beta1constants.GardenerOperation: operation, v1beta1constants.GardenerTimestamp: asked.Format(time.RFC3339Nano)}
	if err := shared.seedClient.Create(s.ctx, s.extension); err != nil {
		s.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
		if last := s.extension.Status.LastOperation; last != nil {
			s.pause(time.Until(last.LastUpdateTime.Add(time.Second)))
		}
		asked = time.Now()
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{"gardener.cloud/operation":%q,"gardener.cloud/timestamp":%q}}}`,
			operation, asked.Format(time.RFC3339Nano)))
		s.Expect(shared.seedClient.Patch(s.ctx, s.extension, patch)).To(Succeed())
	}
	s.asked = asked.Truncate(time.Second)
}

// setProviderConfig changes what the shoot's owner wrote for the extension. gardenlet then asks for an operation.
func (s *shoot) setProviderConfig(field, value string) {
	providerConfig := &runtime.RawExtension{Raw: fmt.Appendf(nil, `{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxConfig",%q:%q}`, field, value)}
	s.setRawProviderConfig(providerConfig)
}

func (s *shoot) setRawProviderConfig(providerConfig *runtime.RawExtension) {
	if err := shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension); err != nil {
		s.extension.Spec.ProviderConfig = providerConfig
		return
	}
	patch := client.MergeFrom(s.extension.DeepCopy())
	s.extension.Spec.ProviderConfig = providerConfig
	s.Expect(shared.seedClient.Patch(s.ctx, s.extension, patch)).To(Succeed())
}

// lastOperation is read by Eventually.
func (s *shoot) lastOperation(g Gomega) (gardencorev1beta1.LastOperationState, string) {
	g.Expect(shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)).To(Succeed())
	g.Expect(s.extension.Annotations).NotTo(HaveKey(v1beta1constants.GardenerOperation))
	g.Expect(s.extension.Status.LastOperation).NotTo(BeNil())
	return s.extension.Status.LastOperation.State, s.extension.Status.LastOperation.Description
}

// askedOperation is lastOperation of what operate has asked for, or later: between the annotation and the status, an Extension still tells of the
// operation before.
func (s *shoot) askedOperation(g Gomega) (gardencorev1beta1.LastOperationState, string) {
	state, description := s.lastOperation(g)
	g.Expect(s.extension.Status.LastOperation.LastUpdateTime.Time).NotTo(BeTemporally("<", s.asked), "of the operation before")
	return state, description
}

func (s *shoot) expectSuccess() {
	s.Eventually(func(g Gomega) {
		state, description := s.askedOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateSucceeded), description)
	}, timeout).Should(Succeed())
}

func (s *shoot) expectFailure(sentence string) {
	s.Eventually(func(g Gomega) {
		state, description := s.askedOperation(g)
		g.Expect(state).To(Equal(gardencorev1beta1.LastOperationStateError))
		g.Expect(description).To(ContainSubstring(sentence))
	}, timeout).Should(Succeed())
}

// timeout is long enough for a machine that is busy with other tests.
const timeout = 2 * time.Minute

// requestLog keeps the requests to the seed that write.
type requestLog struct {
	mutex  sync.Mutex
	writes []string
}

func (r *requestLog) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method != http.MethodGet {
			r.mutex.Lock()
			r.writes = append(r.writes, request.Method+" "+request.URL.Path)
			r.mutex.Unlock()
		}
		return next.RoundTrip(request)
	})
}

// take returns what has been written in a namespace since the last call for it.
func (r *requestLog) take(namespace string) []string {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	var taken, others []string
	for _, write := range r.writes {
		if strings.Contains(write, "/namespaces/"+namespace+"/") {
			taken = append(taken, write)
		} else {
			others = append(others, write)
		}
	}
	r.writes = others
	return taken
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
