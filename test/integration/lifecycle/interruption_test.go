// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdv1 "k8s.io/client-go/tools/clientcmd/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/controller/lifecycle"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

// interruptions let the extension die at its first write, then at its second, and so on.
type interruptions struct {
	mutex       sync.Mutex
	next, until int // the write at which it dies next, and how many there still are until then
	dead        bool
}

// live starts a life that ends at the next write in turn.
func (i *interruptions) live() {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	i.next++
	i.until, i.dead = i.next, false
}

// died tells how the last life ended.
func (i *interruptions) died() bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.dead
}

// dies tells whether a request is not made any more.
func (i *interruptions) dies(request *http.Request) bool {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	if request.Method != http.MethodGet && i.next > 0 {
		i.until--
		i.dead = i.dead || i.until == 0
	}
	return i.dead
}

func (i *interruptions) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		if i.dies(request) {
			return nil, errors.New("the extension was killed")
		}
		return next.RoundTrip(request)
	})
}

// proxy stands between the extension and the shoot's API server.
func (i *interruptions) proxy(t *testing.T, config *rest.Config) string {
	g := NewWithT(t)
	transport, err := rest.TransportFor(config)
	g.Expect(err).NotTo(HaveOccurred())
	target, err := url.Parse(config.Host)
	g.Expect(err).NotTo(HaveOccurred())
	forward := &httputil.ReverseProxy{Transport: transport, Rewrite: func(request *httputil.ProxyRequest) { request.SetURL(target) }}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		if i.dies(request) {
			panic(http.ErrAbortHandler)
		}
		forward.ServeHTTP(w, request)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// newInterrupted makes an actuator that dies, and an Extension that nobody else reconciles.
func (l *living) newInterrupted(t *testing.T, i *interruptions) *lifecycle.Actuator {
	kubeconfig, err := yaml.Marshal(clientcmdv1.Config{
		APIVersion: "v1", Kind: "Config", CurrentContext: "shoot",
		Clusters:  []clientcmdv1.NamedCluster{{Name: "shoot", Cluster: clientcmdv1.Cluster{Server: i.proxy(t, l.config)}}},
		AuthInfos: []clientcmdv1.NamedAuthInfo{{Name: "shoot"}},
		Contexts:  []clientcmdv1.NamedContext{{Name: "shoot", Context: clientcmdv1.Context{Cluster: "shoot", AuthInfo: "shoot"}}},
	})
	l.Expect(err).NotTo(HaveOccurred())
	_, err = clientcmd.Load(kubeconfig)
	l.Expect(err).NotTo(HaveOccurred())
	secret := &corev1.Secret{}
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKey{Namespace: l.control, Name: "gardener-internal"}, secret)).To(Succeed())
	secret.Data["kubeconfig"] = kubeconfig
	l.Expect(shared.seedClient.Update(l.ctx, secret)).To(Succeed())

	l.extension.Name = "interrupted"
	l.extension.Spec.Class = new(extensionsv1alpha1.ExtensionClassGarden)
	l.Expect(shared.seedClient.Create(l.ctx, l.extension)).To(Succeed())

	config := rest.CopyConfig(shared.seed.Config)
	config.Wrap(i.wrap)
	seed, err := client.New(config, client.Options{Scheme: shared.seedClient.Scheme()})
	l.Expect(err).NotTo(HaveOccurred())
	a := shared.actuator
	return &lifecycle.Actuator{
		Seed: seed, Garden: garden.GardenletKubeconfig(seed), Releases: a.Releases, Images: a.Images, Sources: a.Sources, SettlingTime: a.SettlingTime,
	}
}

// reconcile reconciles until that succeeds, as the controller does.
func (l *living) reconcile(actuator *lifecycle.Actuator) {
	l.Eventually(func() error { return l.reconcileOnce(actuator) }, timeout).Should(Succeed())
}

func (l *living) reconcileOnce(actuator *lifecycle.Actuator) error {
	ex := &extensionsv1alpha1.Extension{}
	l.Expect(shared.seedClient.Get(l.ctx, client.ObjectKeyFromObject(l.extension), ex)).To(Succeed())
	if err := actuator.Reconcile(l.ctx, log.Log, ex); err != nil {
		return err
	}
	if problem := fluxv1alpha1.StatusOf(ex).Problem; problem != nil {
		return errors.New(problem.Message)
	}
	return nil
}
