// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/report"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// proxy stands between the extension and the garden's kube-apiserver: it notes the requests, and can be away.
type proxy struct {
	*httptest.Server
	mutex sync.Mutex
	noted []string
}

func newProxy(t *testing.T) *proxy {
	t.Helper()
	g := NewWithT(t)
	target, err := url.Parse(apiServer.Config.Host)
	g.Expect(err).NotTo(HaveOccurred())
	if target.Scheme == "" {
		target = &url.URL{Scheme: "https", Host: apiServer.Config.Host}
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(apiServer.Config))
	g.Expect(err).NotTo(HaveOccurred())
	forward := httputil.NewSingleHostReverseProxy(target)
	forward.Transport, forward.FlushInterval = transport, -1
	forward.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }

	p := &proxy{}
	p.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		p.mutex.Lock()
		p.noted = append(p.noted, request.Method+" "+request.URL.RequestURI())
		p.mutex.Unlock()
		forward.ServeHTTP(w, request)
	}))
	return p
}

// start begins to answer, at the address that the proxy has had from the beginning.
func (p *proxy) start(t *testing.T) {
	p.StartTLS()
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
}

func (p *proxy) requests() []string {
	p.mutex.Lock()
	defer p.mutex.Unlock()
	return slices.Clone(p.noted)
}

// mounted is the directory that gardenlet's kubeconfig and token are mounted to.
type mounted struct {
	directory string
}

func mount(t *testing.T, server, token string) mounted {
	t.Helper()
	m := mounted{t.TempDir()}
	m.writeToken(t, token)
	NewWithT(t).Expect(clientcmd.WriteToFile(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"garden": {Server: server, InsecureSkipTLSVerify: true}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"extension": {TokenFile: filepath.Join(m.directory, "token")}},
		Contexts:       map[string]*clientcmdapi.Context{"garden": {Cluster: "garden", AuthInfo: "extension"}},
		CurrentContext: "garden",
	}, m.kubeconfig())).To(Succeed())
	return m
}

func (m mounted) kubeconfig() string { return filepath.Join(m.directory, "kubeconfig") }

func (m mounted) writeToken(t *testing.T, token string) {
	t.Helper()
	NewWithT(t).Expect(os.WriteFile(filepath.Join(m.directory, "token"), []byte(token), 0o600)).To(Succeed())
}

func newProject(t *testing.T) string {
	t.Helper()
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "garden-"}}
	NewWithT(t).Expect(admin.Create(t.Context(), namespace)).To(Succeed())
	return namespace.Name
}

// The whole way of the extension in the garden, with the rights that it has and the policies on.
func TestTheRightsSuffice(t *testing.T) {
	g := NewWithT(t)
	namespace := newProject(t)
	server := newProxy(t)
	server.start(t)
	access := garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "shoot-flux-garden")).kubeconfig())
	connection, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())

	noHost := func(context.Context, string, string) (net.Conn, error) { return nil, io.EOF }
	repository := &fluxv1alpha1.Repository{URL: "ssh://git@github.com/owner/repo", Type: fluxv1alpha1.RepositoryPrivate}
	made, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), connection, namespace, repository, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(made.Created).To(BeTrue())

	other, err := garden.KubeconfigFile(mount(t, server.URL, token(t, foreignSeed, "shoot-flux-garden")).kubeconfig()).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	completed, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), other, namespace,
		&fluxv1alpha1.Repository{URL: "ssh://git@gitlab.com/owner/repo", Type: fluxv1alpha1.RepositoryPrivate}, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(completed.SecretRef.Data["identity"]).To(Equal(made.SecretRef.Data["identity"]), "another seed has the same key, and adds host keys")
}

// What people read is written with the rights that the extension has, and by each seed for itself.
func TestTheRightsSufficeToTell(t *testing.T) {
	g := NewWithT(t)
	namespace := newProject(t)
	server := newProxy(t)
	server.start(t)
	seed := func(name string) client.Client {
		connection, err := garden.KubeconfigFile(mount(t, server.URL, token(t, name, "shoot-flux-garden")).kubeconfig()).Client(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		return connection
	}
	write := func(connection client.Client, name string, data map[string]string) bool {
		configMap, err := report.ReadStatusConfigMap(t.Context(), connection, namespace, name)
		g.Expect(err).NotTo(HaveOccurred())
		written, err := configMap.Write(t.Context(), connection, data)
		g.Expect(err).NotTo(HaveOccurred())
		return written
	}
	says := func() map[string]string {
		configMap := &corev1.ConfigMap{}
		g.Expect(admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: report.ConfigMapName}, configMap)).To(Succeed())
		return configMap.Data
	}
	one, two := seed(ownSeed), seed(foreignSeed)
	g.Expect(write(one, ownSeed, nil)).To(BeFalse(), "nothing to say")
	g.Expect(write(one, ownSeed, map[string]string{"a": "1", "moving": "1", report.KeyPublicKey: "key"})).To(BeTrue())
	g.Expect(write(two, foreignSeed, map[string]string{"b": "2", report.KeyPublicKey: "key"})).To(BeTrue())
	g.Expect(write(one, ownSeed, map[string]string{"a": "1", "moving": "1", report.KeyPublicKey: "key"})).To(BeFalse(), "all is said")
	g.Expect(says()).To(Equal(map[string]string{"a": "1", "moving": "1", "b": "2", report.KeyPublicKey: "key"}))

	// The new seed takes a shoot over, also with the same words, and the old one does not remove it.
	g.Expect(write(two, foreignSeed, map[string]string{"b": "2", "moving": "1", report.KeyPublicKey: "key"})).To(BeTrue())
	g.Expect(write(one, ownSeed, map[string]string{"a": "1"})).To(BeTrue())
	g.Expect(says()).To(Equal(map[string]string{"a": "1", "moving": "1", "b": "2", report.KeyPublicKey: "key"}))
	g.Expect(write(two, foreignSeed, map[string]string{"moving": "2"})).To(BeTrue())
	g.Expect(says()).To(Equal(map[string]string{"a": "1", "moving": "2"}))

	// An event is there once.
	event := report.Event{Type: corev1.EventTypeWarning, Reason: "BuildFailed", Note: strings.Repeat("ä", 1000)}
	shoot := report.ShootReference(&metav1.ObjectMeta{Namespace: namespace, Name: "a", UID: "1"})
	g.Expect(event.Create(t.Context(), one, shoot)).To(Succeed())
	g.Expect(event.Create(t.Context(), two, shoot)).To(Succeed())
	events := &corev1.EventList{}
	g.Expect(admin.List(t.Context(), events, client.InNamespace(namespace), client.MatchingFields{
		"involvedObject.kind": "Shoot", "involvedObject.name": "a", "involvedObject.uid": "1", // as kubectl describe
	})).To(Succeed())
	g.Expect(events.Items).To(ConsistOf(And(HaveField("Reason", "BuildFailed"), HaveField("Message", HavePrefix("ää")))))
}

func TestAMissingRightToTellIsNamed(t *testing.T) {
	g := NewWithT(t)
	server := newProxy(t)
	server.start(t)
	connection, err := garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "other")).kubeconfig()).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	_, err = report.ReadStatusConfigMap(t.Context(), connection, ownProject, ownSeed)
	g.Expect(err).To(MatchError(And(HavePrefix("failed to read ConfigMap garden-own/flux-status in the garden: "), ContainSubstring(garden.RightsManifest))))
	err = report.Event{Type: corev1.EventTypeNormal, Reason: "FluxReady"}.Create(t.Context(), connection, report.ShootReference(&metav1.ObjectMeta{Namespace: ownProject, Name: "a"}))
	g.Expect(err).To(MatchError(And(HavePrefix("failed to create an event about Shoot garden-own/a: "), ContainSubstring(garden.RightsManifest))))
	g.Expect(apierrors.IsForbidden(err)).To(BeTrue())
}

// It takes almost a minute: that is how long the client keeps a token.
func TestTokenIsRenewed(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	server := newProxy(t)
	server.start(t)
	m := mount(t, server.URL, "expired")
	connection, err := garden.KubeconfigFile(m.kubeconfig()).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	read := func() error {
		return client.IgnoreNotFound(connection.Get(t.Context(), client.ObjectKey{Namespace: ownProject, Name: "flux-config"}, &corev1.ConfigMap{}))
	}
	err = read()
	g.Expect(apierrors.IsUnauthorized(err)).To(BeTrue())
	g.Expect(err).To(MatchError(HavePrefix("the garden does not accept the credentials of file " + m.kubeconfig() + ", which gardenlet renews before they expire")))

	m.writeToken(t, token(t, ownSeed, "shoot-flux-garden"))
	g.Eventually(read, timeout).Should(Succeed(), "the same client reads the new token")
}

func TestAMissingRightIsNamed(t *testing.T) {
	g := NewWithT(t)
	server := newProxy(t)
	server.start(t)
	connection, err := garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "other")).kubeconfig()).Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	err = connection.Get(t.Context(), client.ObjectKey{Namespace: ownProject, Name: "flux-config"}, &corev1.ConfigMap{})
	g.Expect(err).To(MatchError(`configmaps "flux-config" is forbidden: User "system:serviceaccount:seed-one:other" cannot get resource "configmaps" in API group "" ` +
		`in the namespace "garden-own"; apply garden/rights.yaml of the extension's release to the garden, which allows it for all projects, or ` +
		`garden/per-project/rights.yaml, which allows it for one`))
	for _, file := range []string{garden.RightsManifest, garden.ProjectRightsManifest} {
		g.Expect("../../../example/" + file).To(BeAnExistingFile())
	}
}

// listed stands for the call that comes when all has been told which was there in the beginning.
const listed = "listed"

// seen collects what a watch has told.
type seen struct {
	mutex sync.Mutex
	told  []string
}

func (s *seen) add(_ context.Context, old, configMap *corev1.ConfigMap) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	entry := configMap.Namespace + " " + configMap.Data["fluxVersion"]
	if old != nil {
		entry += " before " + old.Data["fluxVersion"]
	}
	s.told = append(s.told, entry)
}

func (s *seen) addListed(context.Context) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.told = append(s.told, listed)
}

func (s *seen) all() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.told)
}

func watch(t *testing.T, access *garden.Access) *seen {
	t.Helper()
	result := &seen{}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		(&garden.ConfigMapWatch{Access: access, Name: "flux-config", Seen: result.add, Listed: result.addListed, Log: logr.Discard()}).Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return result
}

func TestTheWatchIsOneNamedRequest(t *testing.T) {
	g := NewWithT(t)
	one, two := newProject(t), newProject(t)
	g.Expect(admin.Create(t.Context(), configuration(one, map[string]string{"fluxVersion": "v2.0.0"}))).To(Succeed())
	server := newProxy(t)
	server.start(t)
	told := watch(t, garden.KubeconfigFile(mount(t, server.URL, token(t, ownSeed, "shoot-flux-garden")).kubeconfig()))
	g.Eventually(told.all, timeout).Should(ContainElement(listed))
	g.Expect(told.all()[slices.Index(told.all(), listed):]).NotTo(ContainElement(HavePrefix(one)), "it was there before")
	g.Expect(told.all()).To(ContainElement(one + " v2.0.0"))

	g.Expect(admin.Update(t.Context(), configuration(one, map[string]string{"fluxVersion": "v2.1.0"}))).To(Succeed())
	g.Expect(admin.Create(t.Context(), configuration(two, map[string]string{"fluxVersion": "v2.2.0"}))).To(Succeed())
	g.Expect(admin.Create(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: two, Name: "other"}})).To(Succeed())
	g.Eventually(told.all, timeout).Should(ContainElements(one+" v2.1.0 before v2.0.0", two+" v2.2.0"))
	g.Expect(told.all()).To(HaveEach(Not(HavePrefix(two+" v2.2.0 before"))), "not told of other ConfigMaps")

	for _, request := range server.requests() {
		g.Expect(request).To(HavePrefix("GET /api/v1/configmaps?"))
		g.Expect(request).To(ContainSubstring("fieldSelector=metadata.name%3Dflux-config"))
	}
	g.Expect(slices.DeleteFunc(server.requests(), func(request string) bool { return !strings.Contains(request, "watch=true") })).To(HaveLen(1))
}

// The extension starts without the garden, tells so, and begins by itself when the garden is there.
func TestTheGardenIsUnreachableAtFirst(t *testing.T) {
	g := NewWithT(t)
	namespace := newProject(t)
	g.Expect(admin.Create(t.Context(), configuration(namespace, map[string]string{"fluxVersion": "v2.0.0"}))).To(Succeed())
	// Nobody listens until the proxy starts.
	port, err := process.FreePort()
	g.Expect(err).NotTo(HaveOccurred())
	address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	access := garden.KubeconfigFile(mount(t, "https://"+address, token(t, ownSeed, "shoot-flux-garden")).kubeconfig())
	told := watch(t, access)
	connection, err := access.Client(t.Context())
	g.Expect(err).NotTo(HaveOccurred())
	read := func() error {
		return connection.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: "flux-config"}, &corev1.ConfigMap{})
	}
	g.Expect(read()).To(MatchError(ContainSubstring("connection refused")))

	server := newProxy(t)
	g.Expect(server.Listener.Close()).To(Succeed())
	server.Listener, err = net.Listen("tcp", address)
	g.Expect(err).NotTo(HaveOccurred())
	server.start(t)
	g.Eventually(read, timeout).Should(Succeed())
	g.Eventually(told.all, timeout).Should(ContainElement(namespace + " v2.0.0"))
}

// The kubeconfig has another server or another certificate authority when it is replaced.
func TestTheWatchFollowsTheKubeconfig(t *testing.T) {
	t.Parallel()
	g := NewWithT(t)
	namespace := newProject(t)
	g.Expect(admin.Create(t.Context(), configuration(namespace, map[string]string{"fluxVersion": "v2.0.0"}))).To(Succeed())
	valid := token(t, ownSeed, "shoot-flux-garden")
	server := newProxy(t)
	server.start(t)
	m := mount(t, "https://127.0.0.1:1", valid)
	told := watch(t, garden.KubeconfigFile(m.kubeconfig()))
	g.Consistently(told.all, "500ms").Should(BeEmpty())

	content, err := os.ReadFile(mount(t, server.URL, valid).kubeconfig())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(m.kubeconfig(), content, 0o600)).To(Succeed())
	g.Eventually(told.all, timeout).Should(ContainElement(namespace + " v2.0.0"))
}
