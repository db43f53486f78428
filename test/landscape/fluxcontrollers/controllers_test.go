// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	namespace = "flux-system"
	timeout   = 2 * time.Minute
	// pollingInterval is how often tests look whether what they wait for has come.
	pollingInterval = 200 * time.Millisecond
)

func TestMain(m *testing.M) {
	// Not the output of a test: a goroutine of its controllers may log after it.
	ctrllog.SetLogger(logr.FromSlogHandler(slog.NewTextHandler(os.Stderr, nil)))
	// By default 10 milliseconds: then the API servers are busy with answering those who wait.
	SetDefaultEventuallyPollingInterval(pollingInterval)
	SetDefaultConsistentlyPollingInterval(pollingInterval)
	os.Exit(m.Run())
}

func TestControllers(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	showLogs(t, dir)

	shoot := startShoot(t, cluster.Options{Dir: dir, Bin: bin})
	c := newClient(t, shoot)
	controllers, err := fluxcontrollers.Start(context.Background(), fluxcontrollers.Options{Name: shoot.Name, Shoot: shoot.AdminConfig, Bin: bin, Dir: dir, Log: ctrllog.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(controllers.Stop()).To(Succeed()) })
	g.Expect(running(controllers)).To(BeEmpty(), "before Flux is installed")

	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())
	g.Expect(c.Create(t.Context(), gitRepository(publicRepository(t, dir)))).To(Succeed())
	g.Expect(c.Create(t.Context(), kustomization())).To(Succeed())
	g.Eventually(ready(t, c), timeout).Should(HaveField("Status", metav1.ConditionTrue))
	expectRunning(t, controllers, fluxcontrollers.SourceController, fluxcontrollers.KustomizeController)
	g.Expect(c.Get(t.Context(), client.ObjectKey{Name: "shop"}, &corev1.Namespace{})).To(Succeed())

	// Without the binding that was installed, the controller may do nothing: it acts as its ServiceAccount.
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: "cluster-reconciler-flux-system"}}
	g.Expect(c.Delete(t.Context(), binding)).To(Succeed())
	reconcile(t, c)
	g.Eventually(ready(t, c), timeout).Should(And(
		HaveField("Status", metav1.ConditionFalse),
		HaveField("Message", ContainSubstring(`User "system:serviceaccount:flux-system:kustomize-controller" cannot`)),
	))

	// A crash is survived, and when the pod goes, the process goes.
	crashed, _ := controllers.Process(fluxcontrollers.KustomizeController)
	before := crashed.PID()
	g.Expect(kill(before)).To(Succeed())
	g.Eventually(func() bool {
		now, ok := controllers.Process(fluxcontrollers.KustomizeController)
		return ok && now.PID() != before && now.Err() == nil
	}, timeout).Should(BeTrue())
	g.Expect(c.Delete(t.Context(), &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: fluxcontrollers.SourceController}})).To(Succeed())
	expectRunning(t, controllers, fluxcontrollers.KustomizeController)
}

func startShoot(t *testing.T, options cluster.Options) *cluster.Cluster {
	t.Helper()
	g := NewWithT(t)
	etcd, err := cluster.StartEtcd(t.Context(), options)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = etcd.Stop() })
	shoot, err := cluster.Start(t.Context(), "shoot", etcd)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = shoot.Stop() })
	g.Expect(shoot.StartNodes(t.Context())).To(Succeed())
	return shoot
}

func newClient(t *testing.T, shoot *cluster.Cluster) client.Client {
	t.Helper()
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		g.Expect(add(scheme)).To(Succeed())
	}
	c, err := client.New(shoot.AdminConfig, client.Options{Scheme: scheme})
	g.Expect(err).NotTo(HaveOccurred())
	return c
}

func manifests(t *testing.T) []byte {
	t.Helper()
	g := NewWithT(t)
	catalogue, err := release.NewCatalogue(release.Options{})
	g.Expect(err).NotTo(HaveOccurred())
	resolved, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	return resolved.Manifests
}

// publicRepository returns the URL of a repository that is served over HTTP.
func publicRepository(t *testing.T, dir string) string {
	t.Helper()
	g := NewWithT(t)
	server, err := gitserver.Start(t.Context(), gitserver.Options{Dir: filepath.Join(dir, "git")})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	repository, err := server.CreateRepository(t.Context(), "team/cluster", true)
	g.Expect(err).NotTo(HaveOccurred())
	url, err := repository.HTTPURL()
	g.Expect(err).NotTo(HaveOccurred())
	return url
}

func gitRepository(url string) *sourcev1.GitRepository {
	return &sourcev1.GitRepository{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace},
		Spec: sourcev1.GitRepositorySpec{
			URL: url, Interval: metav1.Duration{Duration: time.Minute}, Reference: &sourcev1.GitRepositoryRef{Branch: gitserver.DefaultBranch},
		},
	}
}

func kustomization() *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: namespace},
		Spec: kustomizev1.KustomizationSpec{
			Interval: metav1.Duration{Duration: time.Minute}, Path: "./", Prune: true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: sourcev1.GitRepositoryKind, Name: namespace},
		},
	}
}

// reconcile asks the kustomize-controller to work now.
func reconcile(t *testing.T, c client.Client) {
	t.Helper()
	g := NewWithT(t)
	object := kustomization()
	g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	patch := client.MergeFrom(object.DeepCopy())
	metav1.SetMetaDataAnnotation(&object.ObjectMeta, "reconcile.fluxcd.io/requestedAt", time.Now().Format(time.RFC3339Nano))
	g.Expect(c.Patch(t.Context(), object, patch)).To(Succeed())
}

// ready is the Kustomization's condition Ready.
func ready(t *testing.T, c client.Client) func(Gomega) metav1.Condition {
	return func(g Gomega) metav1.Condition {
		object := kustomization()
		g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
		if condition := meta.FindStatusCondition(object.Status.Conditions, "Ready"); condition != nil {
			return *condition
		}
		return metav1.Condition{}
	}
}

// expectRunning waits, because a controller works already before it is known to be ready.
func expectRunning(t *testing.T, controllers *fluxcontrollers.Controllers, names ...string) {
	t.Helper()
	NewWithT(t).Eventually(func() []string { return running(controllers) }, timeout).Should(ConsistOf(names))
}

func running(controllers *fluxcontrollers.Controllers) []string {
	var names []string
	for _, name := range []string{fluxcontrollers.SourceController, fluxcontrollers.KustomizeController} {
		if _, ok := controllers.Process(name); ok {
			names = append(names, name)
		}
	}
	return names
}

func kill(pid int) error {
	p, err := os.FindProcess(pid)
	if err != nil {
		return err
	}
	return p.Kill()
}

// showLogs shows the ends of all logs if the test fails.
func showLogs(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() {
		logs, _ := filepath.Glob(filepath.Join(dir, "logs", "*-controller.log"))
		for _, log := range logs {
			if content, err := os.ReadFile(log); err == nil && t.Failed() {
				t.Logf("%s:\n%s", log, content[max(0, len(content)-4000):])
			}
		}
	})
}
