// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/log"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
)

const (
	fluxFinalizer = "finalizers.fluxcd.io"
	// deployedBy is the label by which kustomize-controller knows what it deployed.
	deployedBy = "kustomize.toolkit.fluxcd.io/name"
)

// newWorking is a living shoot in which Deployments have pods, namespaces end their deletion, and owned objects go with their owners, as
// in any cluster. There are no nodes: the pods wait for one, which is enough for being there, and for going.
func newWorking(t *testing.T) *living {
	s := newShoot(t, targetNamespace)
	return s.live(t, s.startServer(t, cluster.WorkloadControllers...))
}

// kustomizeController does what the controller of this name does when Kustomizations come and go. It lives in the pods of
// its Deployment. (The real one is in the end-to-end tests.)
type kustomizeController struct {
	client.Client
	namespace string
}

func (k kustomizeController) run(t *testing.T) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		_ = wait.PollUntilContextCancel(ctx, 250*time.Millisecond, true, func(ctx context.Context) (bool, error) {
			k.work(ctx)
			return false, nil
		})
	}()
	t.Cleanup(func() {
		cancel()
		<-stopped
	})
}

func (k kustomizeController) work(ctx context.Context) {
	kustomizations := newKustomizations()
	if err := k.List(ctx, kustomizations); err != nil {
		return
	}
	// In this order: what it knows of the Kustomizations is of a time when it lived, so that it writes none that somebody has changed after its end.
	pods := &corev1.PodList{}
	if err := k.List(ctx, pods, client.InNamespace(k.namespace), client.MatchingLabels{"app": "kustomize-controller"}); err != nil || len(pods.Items) == 0 {
		return
	}
	for _, kustomization := range kustomizations.Items {
		if kustomization.GetDeletionTimestamp() == nil {
			if controllerutil.AddFinalizer(&kustomization, fluxFinalizer) {
				_ = k.Update(ctx, &kustomization)
			}
			continue
		}
		if prune, _, _ := unstructured.NestedBool(kustomization.Object, "spec", "prune"); prune && deletionPolicy(&kustomization) != "Orphan" {
			deployed := client.MatchingLabels{deployedBy: kustomization.GetName()}
			for _, list := range []client.ObjectList{&corev1.ConfigMapList{}, newKustomizations()} {
				if err := k.List(ctx, list, deployed); err != nil {
					return
				}
				if err := meta.EachListItem(list, func(object runtime.Object) error { return k.Delete(ctx, object.(client.Object)) }); err != nil {
					return
				}
			}
		}
		controllerutil.RemoveFinalizer(&kustomization, fluxFinalizer)
		_ = k.Update(ctx, &kustomization)
	}
}

func newKustomizations() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetGroupVersionKind(schema.GroupVersionKind{Group: "kustomize.toolkit.fluxcd.io", Version: "v1", Kind: "KustomizationList"})
	return list
}

func deletionPolicy(kustomization *unstructured.Unstructured) string {
	policy, _, _ := unstructured.NestedString(kustomization.Object, "spec", "deletionPolicy")
	return policy
}

// deploy makes the ConfigMap that a Kustomization deployed.
func (l *living) deploy(kustomization string) *corev1.ConfigMap {
	configMap := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "by-" + kustomization, Labels: map[string]string{deployedBy: kustomization}}}
	l.Expect(l.client.Create(l.ctx, configMap)).To(Succeed())
	return configMap
}

// work makes Flux run, and its users use it: there is the root Kustomization, one that it deployed, and one that somebody applied. All
// prune, and have deployed something.
func (l *living) work(t *testing.T, data map[string]string) (byRoot, byTeam, byApps *corev1.ConfigMap) {
	l.configure(data)
	l.operate("reconcile")
	l.expectVersion(data["fluxVersion"])
	l.Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(l.client.List(l.ctx, pods, client.InNamespace("flux-system"), client.MatchingLabels{"app": "kustomize-controller"})).To(Succeed())
		g.Expect(pods.Items).NotTo(BeEmpty())
	}, timeout).Should(Succeed())

	l.use()
	team := l.unstructured(userObject{"kustomizations.kustomize.toolkit.fluxcd.io", "Kustomization", "team", nil})
	team.SetLabels(map[string]string{deployedBy: "flux-system"})
	team.Object["spec"] = map[string]any{"interval": "10m", "prune": true, "path": "./team", "sourceRef": map[string]any{"kind": "GitRepository", "name": "team"}}
	l.Expect(l.client.Create(l.ctx, team)).To(Succeed())
	for _, o := range userObjects {
		object := l.unstructured(o)
		l.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)).To(Succeed())
		controllerutil.AddFinalizer(object, fluxFinalizer)
		l.Expect(l.client.Update(l.ctx, object)).To(Succeed())
	}
	kustomizeController{l.client, "flux-system"}.run(t)
	l.Eventually(func(g Gomega) {
		kustomizations := newKustomizations()
		g.Expect(l.client.List(l.ctx, kustomizations)).To(Succeed())
		g.Expect(kustomizations.Items).To(HaveLen(3))
		for _, kustomization := range kustomizations.Items {
			g.Expect(kustomization.GetFinalizers()).To(ConsistOf(fluxFinalizer))
		}
	}, timeout).Should(Succeed())
	return l.deploy("flux-system"), l.deploy("team"), l.deploy("apps")
}

func (l *living) exists(object client.Object) bool {
	err := l.client.Get(l.ctx, client.ObjectKeyFromObject(object), object)
	l.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil && object.GetDeletionTimestamp() == nil
}

// expectNoFlux checks that nothing of Flux is in the shoot, and nothing for it in the seed.
func (l *living) expectNoFlux() {
	labels := client.MatchingLabels{"app.kubernetes.io/part-of": "flux"}
	for _, gvk := range []schema.GroupVersionKind{
		{Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinitionList"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleList"},
		{Group: "rbac.authorization.k8s.io", Version: "v1", Kind: "ClusterRoleBindingList"},
		{Group: "apps", Version: "v1", Kind: "DeploymentList"},
		{Version: "v1", Kind: "PodList"},
		{Version: "v1", Kind: "NamespaceList"},
	} {
		list := &metav1.PartialObjectMetadataList{}
		list.SetGroupVersionKind(gvk)
		l.Expect(l.client.List(l.ctx, list, labels)).To(Succeed())
		l.Expect(list.Items).To(BeEmpty(), gvk.Kind)
	}
	l.Expect(apierrors.IsNotFound(l.client.Get(l.ctx, client.ObjectKey{Name: "flux-system"}, &corev1.Namespace{}))).To(BeTrue())
	l.expectNothingInSeed()
}

func (s *shoot) expectNothingInSeed() {
	managedResources := &resourcesv1alpha1.ManagedResourceList{}
	s.Expect(shared.seedClient.List(s.ctx, managedResources, client.InNamespace(s.control))).To(Succeed())
	s.Expect(managedResources.Items).To(BeEmpty())
}

func (s *shoot) expectSwitchedOff() {
	s.Eventually(func(g Gomega) {
		err := shared.seedClient.Get(s.ctx, client.ObjectKeyFromObject(s.extension), s.extension)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", s.extension.Status.LastError)
	}, 2*timeout).Should(Succeed())
}

func withPolicy(policy string) map[string]string {
	return map[string]string{"fluxVersion": newest, "repositoryUrl": "https://git.example.com/fleet/shoots", "removalPolicy": policy}
}

func TestSwitchedOffKeepsWorkloads(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, withPolicy("keep-workloads"))
	// What was chosen is known without the garden.
	l.Expect(shared.gardenClient.DeleteAllOf(l.ctx, &corev1.ConfigMap{}, client.InNamespace(l.project))).To(Succeed())
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), configMap.Name)
	}
}

// A release that knows no deletionPolicy would prune.
func TestSwitchedOffKeepsWorkloadsOfAnOldRelease(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	data := withPolicy("")
	data["fluxVersion"] = "v2.2.3"
	byRoot, byTeam, byApps := l.work(t, data)
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), configMap.Name)
	}
}

func TestSwitchedOffDeletesWorkloads(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, withPolicy("delete-workloads"))
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	l.Expect(l.exists(byRoot)).To(BeFalse())
	l.Expect(l.exists(byTeam)).To(BeFalse())
	l.Expect(l.exists(byApps)).To(BeTrue(), "somebody applied its Kustomization, it is not in the project's repository")
}

// withKustomization is a project whose root Kustomization is written as a template.
func withKustomization(name string) map[string]string {
	return map[string]string{"fluxVersion": newest, "removalPolicy": "delete-workloads", "config": fmt.Sprintf(
		"source: {template: {spec: {url: https://git.example.com/fleet/shoots, ref: {branch: main}}}}\nkustomization: {template: {metadata: {name: %s}, spec: {path: ./, prune: true}}}", name)}
}

// TestRenamedKustomization has a root Kustomization that gets another name, and then none of its own: gardener-resource-manager deletes the old one
// each time. What it deployed goes only when the extension is switched off, and that is wanted.
func TestRenamedKustomization(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	l.configure(withKustomization("fleet"))
	l.operate("reconcile")
	l.expectVersion(newest)
	kustomizeController{l.client, "flux-system"}.run(t)
	works := func(name string) *corev1.ConfigMap {
		l.Eventually(func(g Gomega) {
			root := fluxObject("Kustomization", name, nil)
			g.Expect(l.client.Get(l.ctx, client.ObjectKeyFromObject(root), root)).To(Succeed())
			g.Expect(root.GetFinalizers()).To(ConsistOf(fluxFinalizer))
		}, timeout).Should(Succeed())
		return l.deploy(name)
	}
	byFleet := works("fleet")
	l.configure(withKustomization("base"))
	l.Eventually(l.isGoneInShoot(fluxObject("Kustomization", "fleet", nil)), timeout).Should(BeTrue())
	byBase := works("base")
	l.Expect(l.exists(byFleet)).To(BeTrue())
	l.configure(withPolicy("delete-workloads"))
	l.Eventually(l.isGoneInShoot(fluxObject("Kustomization", "base", nil)), timeout).Should(BeTrue())
	l.Expect(l.exists(byBase)).To(BeTrue())
	l.configure(withKustomization("last"))
	byLast := works("last")
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	l.Expect(l.exists(byLast)).To(BeFalse())
}

// TestSwitchedOffLeavesTheirFlux has a Flux that the shoot's users installed, and that the extension was only to make follow the repository.
func TestSwitchedOffLeavesTheirFlux(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"keep-workloads", "delete-workloads"} {
		t.Run(policy, func(t *testing.T) {
			l := newWorking(t)
			l.upgradeByUsers(newest)
			byRoot, byTeam, byApps := l.work(t, with(withPolicy(policy), "installation", "once"))
			l.switchOff()
			l.expectSwitchedOff()
			l.expectNothingInSeed()
			kept := policy == "keep-workloads"
			l.Expect(l.exists(byRoot)).To(Equal(kept))
			l.Expect(l.exists(byTeam)).To(Equal(kept))
			l.Expect(l.exists(byApps)).To(BeTrue())
			l.Expect(l.exists(fluxObject("Kustomization", "flux-system", nil))).To(BeFalse())
			apps := l.unstructured(userObject{"kustomizations.kustomize.toolkit.fluxcd.io", "Kustomization", "apps", nil})
			for _, object := range []client.Object{l.deployment("source-controller"), apps, l.definition("gitrepositories.source.toolkit.fluxcd.io")} {
				l.Expect(l.exists(object)).To(BeTrue(), object.GetName())
			}
		})
	}
}

// Nothing waits for controllers that don't run.
func TestSwitchedOffDeletesNoWorkloadsWithoutControllers(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, withPolicy("delete-workloads"))
	l.Expect(l.client.DeleteAllOf(l.ctx, &appsv1.Deployment{}, client.InNamespace("flux-system"))).To(Succeed())
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNoFlux()
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), configMap.Name)
	}
}

// TestSwitchedOffKeepsFlux also shows that the shoot's owner has the last word.
func TestSwitchedOffKeepsFlux(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	l.setProviderConfig("removalPolicy", "keep-flux")
	byRoot, byTeam, byApps := l.work(t, withPolicy("delete-workloads"))
	l.switchOff()
	l.expectSwitchedOff()
	l.expectNothingInSeed()
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), configMap.Name)
	}
	l.expectUserObjects()
	for _, name := range []string{"source-controller", "kustomize-controller", "helm-controller", "notification-controller"} {
		l.Expect(l.exists(l.deployment(name))).To(BeTrue())
	}
}

func (l *living) deployment(name string) *appsv1.Deployment {
	return &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: "flux-system", Name: name}}
}

// TestSwitchedOffWithInterruptions lets each write of the extension fail twice: once before it reaches an API server, and once
// after, so that the extension does not know that it succeeded. Each time, the extension begins anew, as after a restart.
func TestSwitchedOffWithInterruptions(t *testing.T) {
	t.Parallel()
	for _, policy := range []string{"keep-workloads", "delete-workloads"} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			l := newWorking(t)
			byRoot, byTeam, byApps := l.work(t, withPolicy(policy))
			faults := &faults{}
			a := l.interrupted(t, faults)

			l.Eventually(func() error { return a.Delete(l.ctx, log.Log, l.extension) }, 4*timeout, 50*time.Millisecond).Should(Succeed())
			t.Logf("%d writes have been interrupted", len(faults.seen))
			l.Expect(len(faults.seen)).To(BeNumerically(">", 30), "4 Deployments, 8 objects with finalizers, 16 objects of the installation, and the ManagedResources are written")
			l.expectNoFlux()
			kept := policy == "keep-workloads"
			l.Expect(l.exists(byRoot)).To(Equal(kept))
			l.Expect(l.exists(byTeam)).To(Equal(kept))
			l.Expect(l.exists(byApps)).To(BeTrue())
		})
	}
}

// interrupted is an actuator whose writes, to the seed and to the shoot, fail first.
func (l *living) interrupted(t *testing.T, faults *faults) *lifecycle.Actuator {
	config := rest.CopyConfig(shared.seed.Config)
	config.Wrap(faults.wrap)
	seed, err := client.New(config, client.Options{Scheme: shared.actuator.Seed.Scheme()})
	l.Expect(err).NotTo(HaveOccurred())

	shootConfig := l.config
	transport, err := rest.TransportFor(shootConfig)
	l.Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(shootConfig.Host)
	l.Expect(err).NotTo(HaveOccurred())
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.Transport = faults.wrap(transport)
	proxy.ErrorHandler = func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	l.giveAccess(fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"shoot","contexts":[{"name":"shoot","context":{"cluster":"shoot"}}],"clusters":[{"name":"shoot","cluster":{"server":%q}}]}`, server.URL))

	return &lifecycle.Actuator{Seed: seed, Garden: garden.GardenletKubeconfig(seed)}
}

// faults interrupts each write twice.
type faults struct {
	mutex sync.Mutex
	seen  map[string]int
}

func (f *faults) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if request.Method == http.MethodGet {
			return next.RoundTrip(request)
		}
		f.mutex.Lock()
		defer f.mutex.Unlock()
		if f.seen == nil {
			f.seen = map[string]int{}
		}
		write := request.Method + " " + request.URL.Path
		f.seen[write]++
		if f.seen[write] == 1 {
			return nil, errors.New("killed before " + write)
		}
		response, err := next.RoundTrip(request)
		if err == nil && f.seen[write] == 2 {
			_ = response.Body.Close()
			return nil, errors.New("killed after " + write)
		}
		return response, err
	})
}

// TestShootIsBeingDeleted lets the deletion of a Shoot begin. gardenlet cleans it up, while its nodes are still there.
func TestShootIsBeingDeleted(t *testing.T) {
	t.Parallel()
	l := newWorking(t)
	byRoot, byTeam, byApps := l.work(t, withPolicy("delete-workloads"))
	l.object.DeletionTimestamp = new(metav1.Now())
	l.syncCluster()
	l.Eventually(func(g Gomega) {
		pods := &corev1.PodList{}
		g.Expect(l.client.List(l.ctx, pods, client.InNamespace("flux-system"))).To(Succeed())
		g.Expect(pods.Items).To(BeEmpty(), "Flux does not run any more")
		kustomizations := newKustomizations()
		g.Expect(l.client.List(l.ctx, kustomizations)).To(Succeed())
		g.Expect(kustomizations.Items).To(HaveLen(3))
		for _, kustomization := range kustomizations.Items {
			g.Expect(kustomization.GetFinalizers()).To(BeEmpty())
		}
	}, timeout).Should(Succeed())
	for _, configMap := range []*corev1.ConfigMap{byRoot, byTeam, byApps} {
		l.Expect(l.exists(configMap)).To(BeTrue(), "Gardener deletes it")
	}
	l.expectSuccess()

	l.switchOff()
	l.expectSwitchedOff()
	l.expectNothingInSeed()
	l.Expect(l.exists(l.definition("kustomizations.kustomize.toolkit.fluxcd.io"))).To(BeTrue(), "it goes with the shoot")
}

func TestSwitchedOffWhileTheShootSleeps(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.object.Spec.Hibernation = &gardencorev1beta1.Hibernation{Enabled: new(true)}
	s.syncCluster()
	s.giveAccess(unreachable)
	s.switchOff()
	s.expectFailure("the shoot sleeps: what is to be removed from it goes when it wakes up")
	installation, _ := s.managedResource(managedresource.Installation)
	s.Expect(installation.Annotations).NotTo(HaveKey(resourcesv1alpha1.Ignore), "nothing is touched")

	s.object.Spec.Hibernation = nil
	s.syncCluster()
	s.operateDeletion()
	s.expectFailure("has not yet taken note")
	s.takeNote(managedresource.Installation)
	s.expectFailure("the API server of the shoot, or a webhook that it asks, does not answer, and Flux can't be removed before it does")
	s.giveAccess(shared.access)
	s.expectSwitchedOff()
	s.expectNothingInSeed()
}

// TestSwitchedOffTellsInABoundedLength has a shoot that refuses with many words.
func TestSwitchedOffTellsInABoundedLength(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	s.operate("reconcile")
	s.expectSuccess()
	s.giveAccess([]byte(strings.Replace(string(unreachable), "http://127.0.0.1:1", s.refuse(t), 1)))
	s.switchOff()
	s.expectFailure("has not yet taken note")
	s.takeNote(managedresource.Installation)
	s.expectFailure("because because")
	s.Expect(len(s.extension.Status.LastError.Description)).To(BeNumerically("<", 2<<10))
	s.Expect(len(s.extension.Status.LastOperation.Description)).To(BeNumerically("<", 2<<10))
}

// refuse is the address of an API server that refuses to tell of a namespace, as a webhook or an authorizer of somebody else's can.
func (s *shoot) refuse(t *testing.T) string {
	transport, err := rest.TransportFor(shared.seed.Config)
	s.Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(shared.seed.Config.Host)
	s.Expect(err).NotTo(HaveOccurred())
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(target) }}
	refusal := fmt.Sprintf(`{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403,"message":%q}`, strings.Repeat("because ", 40_000))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.URL.Path, "/api/v1/namespaces/") {
			forward.ServeHTTP(w, request)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(refusal))
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// unreachable is a kubeconfig for an API server that is down.
var unreachable = []byte(`{"apiVersion":"v1","kind":"Config","current-context":"shoot","contexts":[{"name":"shoot","context":{"cluster":"shoot"}}],
"clusters":[{"name":"shoot","cluster":{"server":"http://127.0.0.1:1"}}]}`)

func TestSwitchedOffBeforeAnythingWasInstalled(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.giveAccess(unreachable)
	s.operate("reconcile")
	s.expectFailure("does not exist in the garden: create it")
	s.switchOff()
	s.expectSwitchedOff()
}

func TestShootWithoutWorkers(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.object.Spec.Provider.Workers = nil
	s.syncCluster()
	s.configure(privateRepository)
	s.operate("reconcile")
	s.expectFailure("the Shoot " + s.project + "/one has no workers, and Flux can't run without: remove extension shoot-flux from the Shoot")
	s.expectNothingInSeed()
	err := shared.gardenClient.Get(s.ctx, client.ObjectKey{Namespace: s.project, Name: "flux-source"}, &corev1.Secret{})
	s.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "no key is made")
}

func TestProviderConfigMistakes(t *testing.T) {
	t.Parallel()
	s := newShoot(t, targetNamespace)
	s.configure(publicRepository)
	for _, mistake := range []struct{ field, value, sentence string }{
		{"removalPolcy", "keep-flux", "removalPolcy: Forbidden: unknown field, did you mean removalPolicy?"},
		{"installation", "twice", `installation: Unsupported value: "twice": supported values: "managed", "once"`},
		{"removalPolicy", "keep", `removalPolicy: Unsupported value: "keep": supported values: "keep-workloads", "delete-workloads", "keep-flux"`},
	} {
		s.setProviderConfig(mistake.field, mistake.value)
		s.operate("reconcile")
		s.expectFailure("field providerConfig of extension shoot-flux in Shoot " + s.project + "/one is not valid: ")
		s.expectFailure(mistake.sentence)
	}
	s.setRawProviderConfig(&runtime.RawExtension{Raw: []byte(`{"apiVersion":"flux.extensions.gardener.cloud/v1alpha1","kind":"FluxStatus"}`)})
	s.operate("reconcile")
	s.expectFailure("write apiVersion: flux.extensions.gardener.cloud/v1alpha1 and kind: FluxConfig, or none of them")
	s.expectNothingInSeed()

	s.setProviderConfig("removalPolicy", "keep-flux")
	s.operate("reconcile")
	s.expectSuccess()
	installation, _ := s.managedResource(managedresource.Installation)
	s.Expect(installation.Labels).To(HaveKeyWithValue(managedresource.RemovalPolicyLabel, "keep-flux"))
	written := maps.Clone(publicRepository)
	written["removalPolicy"] = "keep-flux"
	s.Expect(s.digest(s)).To(Equal(digestOf(s, written)), "the shoot is current with all that is written for it")
}
