// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitclient_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/fluxcd/pkg/auth/githubapp"
	"github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/git/gogit"
	"github.com/fluxcd/pkg/git/repository"
	"github.com/fluxcd/pkg/runtime/secrets"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const httpsURL = "https://git.example.org/owner/repo.git"

// certificates are of a client, and of who has signed it.
type certificates struct{ ca, cert, key, otherKey []byte }

func newCertificates(t *testing.T) certificates {
	t.Helper()
	g := NewWithT(t)
	newKey := func() (*ecdsa.PrivateKey, []byte) {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		g.Expect(err).NotTo(HaveOccurred())
		der, err := x509.MarshalECPrivateKey(key)
		g.Expect(err).NotTo(HaveOccurred())
		return key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	}
	caKey, _ := newKey()
	key, keyPEM := newKey()
	_, otherKey := newKey()
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	client := &x509.Certificate{SerialNumber: big.NewInt(2), NotAfter: time.Now().Add(time.Hour), ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	sign := func(certificate *x509.Certificate, public any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, certificate, authority, public, caKey)
		g.Expect(err).NotTo(HaveOccurred())
		return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	}
	return certificates{ca: sign(authority, caKey.Public()), cert: sign(client, key.Public()), key: keyPEM, otherKey: otherKey}
}

// read is what the extension makes of a Secret in the garden.
func read(t *testing.T, repositoryURL string, data map[string][]byte) (*sourcesecret.Credentials, error) {
	t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "garden-shop", Name: sourcesecret.SecretName}, Data: data}
	return sourcesecret.NewKeeper(nil).Ensure(t.Context(), fake.NewClientBuilder().WithObjects(secret).Build(), "garden-shop",
		&fluxv1alpha1.Repository{URL: repositoryURL, Type: fluxv1alpha1.RepositoryPrivate}, nil)
}

// asFlux does with the Secret of a GitRepository what source-controller does (getAuthOpts in gitrepository_controller.go), but asks nobody.
func asFlux(t *testing.T, provider string, data map[string][]byte) (*git.AuthOptions, error) {
	t.Helper()
	address, err := url.Parse(httpsURL)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	options, err := git.NewAuthOptions(*address, data)
	if err != nil {
		return nil, err
	}
	methods, err := secrets.AuthMethodsFromSecret(t.Context(), &corev1.Secret{Data: data}, secrets.WithTLSSystemCertPool())
	if err != nil {
		return nil, err
	}
	if provider != "" {
		_, err = githubapp.New(githubapp.WithAppData(methods.GitHubAppData))
	} else {
		NewWithT(t).Expect(methods.HasGitHubAppData()).To(BeFalse(), "Flux refuses it without provider")
	}
	return options, err
}

// TestCredentials: what the extension takes, Flux can use, and uses all of it. What Flux refuses, the extension refuses.
func TestCredentials(t *testing.T) {
	c := newCertificates(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	app := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(rsaKey)})
	type data = map[string][]byte
	x := []byte("x")
	for name, tc := range map[string]struct {
		data data
		// refused is by the extension, and leniently means that Flux does not: it overlooks something.
		refused, leniently bool
	}{
		"user":                  {data: data{"username": x, "password": x}},
		"user with CA":          {data: data{"username": x, "password": x, "ca.crt": c.ca}},
		"token":                 {data: data{"bearerToken": x, "ca.crt": c.ca}},
		"client certificate":    {data: data{"tls.crt": c.cert, "tls.key": c.key, "ca.crt": c.ca}},
		"App":                   {data: data{"githubAppID": []byte("1"), "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": app}},
		"App of an owner":       {data: data{"githubAppID": []byte("1"), "githubAppInstallationOwner": x, "githubAppPrivateKey": app, "ca.crt": c.ca}},
		"password alone":        {data: data{"password": x}, refused: true},
		"username alone":        {data: data{"username": x}, refused: true},
		"App with words for ID": {data: data{"githubAppID": x, "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": app}, refused: true},
		"App with line end":     {data: data{"githubAppID": []byte("1\n"), "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": app}, refused: true},
		"App without key":       {data: data{"githubAppID": []byte("1"), "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": x}, refused: true},
		"App with another key":  {data: data{"githubAppID": []byte("1"), "githubAppInstallationID": []byte("2"), "githubAppPrivateKey": c.key}, refused: true},
		"App in two places":     {data: data{"githubAppID": []byte("1"), "githubAppInstallationID": []byte("2"), "githubAppInstallationOwner": x, "githubAppPrivateKey": app}, refused: true},
		"CA is none":            {data: data{"ca.crt": x}, refused: true},
		"key of another":        {data: data{"tls.crt": c.cert, "tls.key": c.otherKey}, refused: true},
		"certificate alone":     {data: data{"tls.crt": c.cert}, refused: true, leniently: true},
		"user and token":        {data: data{"username": x, "password": x, "bearerToken": x}, refused: true, leniently: true},
		"an empty token":        {data: data{"username": x, "password": x, "bearerToken": nil}, refused: true, leniently: true},
		"CA with something":     {data: data{"ca.crt": append([]byte("-----BEGIN X-----\neA==\n-----END X-----\n"), c.ca...)}, refused: true, leniently: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			credentials, err := read(t, httpsURL, tc.data)
			if tc.refused {
				g.Expect(err).To(HaveOccurred())
				provider := ""
				if tc.data["githubAppID"] != nil {
					provider = "github"
				}
				_, err := asFlux(t, provider, tc.data)
				g.Expect(err == nil).To(Equal(tc.leniently), "%v", err)
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			options, err := asFlux(t, credentials.Provider, credentials.SecretRef.Data)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(options).To(Equal(&git.AuthOptions{
				Transport: git.HTTPS, Host: "git.example.org", Username: string(tc.data["username"]), Password: string(tc.data["password"]),
				BearerToken: string(tc.data["bearerToken"]), ClientCert: tc.data["tls.crt"], ClientKey: tc.data["tls.key"], CAFile: tc.data["ca.crt"],
			}))
		})
	}
}

// TestHTTPS has Flux's client ask a server that lets nobody in but who has all of the credentials.
func TestHTTPS(t *testing.T) {
	c := newCertificates(t)
	clients := x509.NewCertPool()
	NewWithT(t).Expect(clients.AppendCertsFromPEM(c.ca)).To(BeTrue())
	var authorization, client string
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		authorization, client = r.Header.Get("Authorization"), ""
		if len(r.TLS.PeerCertificates) > 0 {
			client = r.TLS.PeerCertificates[0].SerialNumber.String()
		}
		http.NotFound(w, r)
	}))
	server.TLS = &tls.Config{ClientAuth: tls.VerifyClientCertIfGiven, ClientCAs: clients}
	server.StartTLS()
	t.Cleanup(server.Close)
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	address, err := url.Parse(server.URL + "/owner/repo")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())

	for name, tc := range map[string]struct {
		data                          map[string][]byte
		authorization, client, refuse string
	}{
		"user":               {data: map[string][]byte{"username": []byte("ops"), "password": []byte("hunter2"), "ca.crt": ca}, authorization: "Basic b3BzOmh1bnRlcjI="},
		"token":              {data: map[string][]byte{"bearerToken": []byte("t0ken"), "ca.crt": ca}, authorization: "Bearer t0ken"},
		"client certificate": {data: map[string][]byte{"tls.crt": c.cert, "tls.key": c.key, "ca.crt": ca}, client: "2"},
		"only a CA":          {data: map[string][]byte{"ca.crt": ca}},
		"without CA":         {data: map[string][]byte{"bearerToken": []byte("t0ken")}, refuse: "x509: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			authorization, client = "", ""
			credentials, err := read(t, address.String(), tc.data)
			g.Expect(err).NotTo(HaveOccurred())
			options, err := git.NewAuthOptions(*address, credentials.SecretRef.Data)
			g.Expect(err).NotTo(HaveOccurred())
			flux, err := gogit.NewClient(t.TempDir(), options, gogit.WithDiskStorage())
			g.Expect(err).NotTo(HaveOccurred())
			_, err = flux.Clone(t.Context(), address.String(), repository.CloneConfig{CheckoutStrategy: repository.CheckoutStrategy{Branch: "main"}})
			if tc.refuse != "" {
				g.Expect(err).To(MatchError(ContainSubstring(tc.refuse)))
				return
			}
			g.Expect(strings.Contains(err.Error(), "not found")).To(BeTrue(), err.Error())
			g.Expect([]string{authorization, client}).To(Equal([]string{tc.authorization, tc.client}))
		})
	}
}
