// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot_test

import (
	"encoding/pem"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

func access(t *testing.T, namespace, name, server string) *corev1.Secret {
	t.Helper()
	kubeconfig, err := clientcmd.Write(clientcmdapi.Config{
		Clusters:       map[string]*clientcmdapi.Cluster{"shoot": {Server: server}},
		AuthInfos:      map[string]*clientcmdapi.AuthInfo{"gardener": {Token: "token"}},
		Contexts:       map[string]*clientcmdapi.Context{"shoot": {Cluster: "shoot", AuthInfo: "gardener"}},
		CurrentContext: "shoot",
	})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{"kubeconfig": kubeconfig}}
}

func TestClientsAreKeptUntilTheyAreForgotten(t *testing.T) {
	g := NewWithT(t)
	seed := fake.NewFakeClient(access(t, "one", "gardener-internal", "https://one"), access(t, "two", "gardener", "https://two"))
	clients := shoot.NewClients(seed, meta.NewDefaultRESTMapper(nil))

	first, err := clients.Get(t.Context(), "one")
	g.Expect(err).NotTo(HaveOccurred())
	again, err := clients.Get(t.Context(), "one")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(again).To(BeIdenticalTo(first))
	other, err := clients.Get(t.Context(), "two")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(other).NotTo(BeIdenticalTo(first))

	// As long as the shoot answers, nobody needs to know that there is a new kubeconfig.
	g.Expect(seed.Update(t.Context(), access(t, "one", "gardener-internal", "https://moved"))).To(Succeed())
	g.Expect(clients.Get(t.Context(), "one")).To(BeIdenticalTo(first))
	clients.Forget("one")
	moved, err := clients.Get(t.Context(), "one")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(moved).NotTo(BeIdenticalTo(first))
	g.Expect(clients.Get(t.Context(), "two")).To(BeIdenticalTo(other))
}

func TestClientsSayWhereTheyLooked(t *testing.T) {
	_, err := shoot.NewClients(fake.NewFakeClient(), meta.NewDefaultRESTMapper(nil)).Get(t.Context(), "one")
	NewWithT(t).Expect(err).To(MatchError(HavePrefix("no access to the shoot by Secret gardener-internal or gardener in namespace one of the seed: ")))
}

// A thousand shoots would else have a thousand connections, with all that belongs to them.
func TestConnectionsEndWhenNothingIsAsked(t *testing.T) {
	g := NewWithT(t)
	var opened, closed atomic.Int32
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(response http.ResponseWriter, request *http.Request) {
		g.Expect(request.Header.Get("Authorization")).To(Equal("Bearer token"))
		response.Header().Set("Content-Type", "application/json")
		_, _ = response.Write([]byte(`{"apiVersion":"v1","kind":"Secret","metadata":{"namespace":"a","name":"b"}}`))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			opened.Add(1)
		case http.StateClosed:
			closed.Add(1)
		case http.StateActive, http.StateIdle, http.StateHijacked:
		}
	}
	server.StartTLS()
	defer server.Close()
	seed := fake.NewFakeClient(accessByCA(t, "one", server))
	mapper := meta.NewDefaultRESTMapper(nil)
	mapper.Add(corev1.SchemeGroupVersion.WithKind("Secret"), meta.RESTScopeNamespace)
	clients := shoot.NewClients(seed, mapper)

	read := func() {
		shoot, err := clients.Get(t.Context(), "one")
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(shoot.Get(t.Context(), client.ObjectKey{Namespace: "a", Name: "b"}, &corev1.Secret{})).To(Succeed())
	}
	_, err := clients.New(t.Context(), "one")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(seed.Delete(t.Context(), accessByCA(t, "one", server))).To(Succeed())
	read() // with the credentials that New has read
	read()
	g.Expect(opened.Load()).To(Equal(int32(1)), "one request follows the other")
	g.Eventually(closed.Load).WithTimeout(time.Minute).Should(Equal(int32(1)))
	read()
	g.Expect(opened.Load()).To(Equal(int32(2)))
}

func accessByCA(t *testing.T, namespace string, server *httptest.Server) *corev1.Secret {
	t.Helper()
	g := NewWithT(t)
	secret := access(t, namespace, "gardener-internal", server.URL)
	config, err := clientcmd.Load(secret.Data["kubeconfig"])
	g.Expect(err).NotTo(HaveOccurred())
	config.Clusters["shoot"].CertificateAuthorityData = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	secret.Data["kubeconfig"], err = clientcmd.Write(*config)
	g.Expect(err).NotTo(HaveOccurred())
	return secret
}
