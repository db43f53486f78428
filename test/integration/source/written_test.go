// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

const (
	httpsURL = "https://git.example.com/fleet/shoots"
	ociURL   = "oci://registry.example.com/fleet/shoots"
)

// newCertificate is a certificate that its key has signed itself.
func newCertificate(t *testing.T) (certificate, key []byte) {
	t.Helper()
	g := NewWithT(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	g.Expect(err).NotTo(HaveOccurred())
	encoded, err := x509.MarshalECPrivateKey(private)
	g.Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: encoded})
}

func strs(pairs map[string]string) map[string][]byte {
	data := map[string][]byte{}
	for key, value := range pairs {
		data[key] = []byte(value)
	}
	return data
}

// TestWrittenCredentials are read with one request and never written, whatever type the admin has given the Secret. An API server takes the
// Secrets of the shoot.
func TestWrittenCredentials(t *testing.T) {
	certificate, key := newCertificate(t)
	app, err := rsa.GenerateKey(rand.Reader, 2048)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	appKey := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(app)})
	const pull = `{"auths":{"registry.example.com":{"username":"ops","password":"hunter2"}}}`
	for name, tc := range map[string]struct {
		url    string
		data   map[string][]byte
		secret corev1.SecretType
		kind   sourcesecret.Kind
		shoot  []string
	}{
		"basic auth":   {httpsURL, strs(map[string]string{"username": "ops", "password": "hunter2"}), corev1.SecretTypeBasicAuth, sourcesecret.KindBasicAuth, []string{"flux-source Opaque [password username]"}},
		"bearer token": {httpsURL, strs(map[string]string{"bearerToken": "t0ken", "ca.crt": string(certificate)}), corev1.SecretTypeOpaque, sourcesecret.KindBearerToken, []string{"flux-source Opaque [bearerToken ca.crt]"}},
		"GitHub App": {httpsURL, strs(map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": string(appKey)}), corev1.SecretTypeOpaque,
			sourcesecret.KindGitHubApp, []string{"flux-source Opaque [githubAppID githubAppInstallationID githubAppPrivateKey]"}},
		"client certificate": {httpsURL, strs(map[string]string{"tls.crt": string(certificate), "tls.key": string(key)}), corev1.SecretTypeTLS, sourcesecret.KindCertificates, []string{"flux-source Opaque [tls.crt tls.key]"}},
		"pull secret":        {ociURL, strs(map[string]string{".dockerconfigjson": pull}), corev1.SecretTypeDockerConfigJson, sourcesecret.KindRegistry, []string{"flux-source-registry kubernetes.io/dockerconfigjson [.dockerconfigjson]"}},
		"registry with CA": {ociURL, strs(map[string]string{"username": "ops", "password": "hunter2", "ca.crt": string(certificate)}), corev1.SecretTypeOpaque, sourcesecret.KindRegistry,
			[]string{"flux-source-registry kubernetes.io/dockerconfigjson [.dockerconfigjson]", "flux-source Opaque [ca.crt]"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			namespace := newNamespace(t)
			extension, requests := newExtension(t, namespace, leastPrivilege("get"))
			written := writeSecret(t, namespace, tc.data, func(s *corev1.Secret) { s.Type, s.Immutable = tc.secret, new(true) })

			credentials, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(tc.url), nil)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(requests.take()).To(Equal([]string{"GET"}))
			g.Expect(credentials.Kind).To(Equal(tc.kind))
			g.Expect(credentials.Version).To(Equal(sourcesecret.VersionOf(written.UID, written.ResourceVersion)))

			// A second seed says the same to Flux.
			again, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(tc.url), nil)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(again.Request()).To(Equal(credentials.Request()))

			shoot := newNamespace(t)
			var made []string
			for _, secret := range credentials.Secrets() {
				made = append(made, secret.Name+" "+string(secret.Type)+" "+secret.Data.String())
				object := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: shoot, Name: secret.Name}, Type: secret.Type, Data: secret.Data}
				g.Expect(admin.Create(t.Context(), object)).To(Succeed())
			}
			g.Expect(made).To(Equal(tc.shoot))
		})
	}
}

// TestSecretsOfSeveralTypesFollowEachOther: none has to be deleted before the other is there.
func TestSecretsOfSeveralTypesFollowEachOther(t *testing.T) {
	g := NewWithT(t)
	namespace, shoot := newNamespace(t), newNamespace(t)
	extension, _ := newExtension(t, namespace, leastPrivilege("get"))
	writeSecret(t, namespace, strs(map[string]string{"username": "ops", "password": "hunter2"}))
	for _, url := range []string{httpsURL, ociURL, httpsURL} {
		credentials, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(url), nil)
		g.Expect(err).NotTo(HaveOccurred())
		for _, secret := range credentials.Secrets() {
			object := &corev1.Secret{
				TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
				ObjectMeta: metav1.ObjectMeta{Namespace: shoot, Name: secret.Name}, Type: secret.Type, Data: secret.Data,
			}
			if err := admin.Create(t.Context(), object); apierrors.IsAlreadyExists(err) {
				err = admin.Update(t.Context(), object)
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).NotTo(HaveOccurred())
			}
		}
	}
}

func TestProblemsOfWrittenCredentials(t *testing.T) {
	for name, tc := range map[string]struct {
		url    string
		verbs  []string
		data   map[string][]byte // nil if there is no Secret
		delete bool
		want   string
	}{
		"no Secret": {url: httpsURL, want: "it does not exist, and a private repository is read with it: make it, for example by " +
			`"kubectl -n %s create secret generic flux-source --from-literal=username=NAME --from-literal=password=TOKEN" (keys that can be used: username and password; bearerToken; those of a GitHub App; ca.crt; tls.crt and tls.key)`},
		"not for this URL": {url: ociURL, data: strs(map[string]string{"identity": "x"}), want: "it has none of the keys that can be used here (.dockerconfigjson; username and password; ca.crt; tls.crt and tls.key): add what the repository needs"},
		"a mistake":        {url: httpsURL, data: strs(map[string]string{"username": "hunter2"}), want: "key username is there, but not password: add it, which can be a token"},
		"in the clear":     {url: "http://git.example.com/fleet", data: strs(map[string]string{"username": "ops", "password": "hunter2"}), want: "its credentials would be sent in the clear: write https:// in place of http:// in key repositoryUrl of ConfigMap flux-config"},
		"being deleted":    {url: httpsURL, data: strs(map[string]string{"bearerToken": "x"}), delete: true, want: "it is being deleted: make it again once it is gone"},
		"not allowed":      {url: httpsURL, verbs: []string{"patch"}, want: "the extension may not read it: allow it to get secrets named flux-source in the garden: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			namespace := newNamespace(t)
			if tc.verbs == nil {
				tc.verbs = []string{"get", "create", "patch"}
			}
			extension, requests := newExtension(t, namespace, leastPrivilege(tc.verbs...))
			if tc.data != nil {
				secret := writeSecret(t, namespace, tc.data, func(s *corev1.Secret) {
					if tc.delete {
						s.Finalizers = []string{"example.org/wait"}
					}
				})
				if tc.delete {
					g.Expect(admin.Delete(t.Context(), secret)).To(Succeed())
				}
			}
			_, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(tc.url), nil)
			g.Expect(err).To(MatchError(HavePrefix("secret " + namespace + "/flux-source in the garden: " + strings.ReplaceAll(tc.want, "%s", namespace))))
			g.Expect(err.Error()).NotTo(ContainSubstring("hunter2"))
			g.Expect(requests.take()).To(Equal([]string{"GET"}), "nothing is made")
		})
	}
}

// TestRaceForAzureDevOps has two seeds that make an RSA key pair at the same moment.
func TestRaceForAzureDevOps(t *testing.T) {
	g := NewWithT(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	var done sync.WaitGroup
	meeting := newMeeting(2)
	results := make([]*sourcesecret.Credentials, 2)
	errs := make([]error, 2)
	for i := range results {
		done.Go(func() {
			results[i], errs[i] = ensure(t, sourcesecret.NewKeeper(noHost), meeting.attend(t, extension), requests, namespace, private("ssh://git@ssh.dev.azure.com/v3/fleet/shoots/repo"))
		})
	}
	done.Wait()
	secret := readSecret(t, namespace)
	for i := range results {
		g.Expect(errs[i]).NotTo(HaveOccurred())
		g.Expect(results[i].SecretRef.Data).To(HaveKeyWithValue("identity", secret.Data["identity"]))
	}
	g.Expect(results[0].Created).NotTo(Equal(results[1].Created), "one key pair is made")
	signer, err := ssh.ParsePrivateKey(secret.Data["identity"])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(signer.PublicKey().Type()).To(Equal(ssh.KeyAlgoRSA))
}

// TestWhoMadeTheKeyPair is told by the metadata of the Secret, as the watch sees it.
func TestWhoMadeTheKeyPair(t *testing.T) {
	g := NewWithT(t)
	pair := newPair(t)
	namespace := newNamespace(t)
	made := func() bool {
		metadata, kept := &metav1.PartialObjectMetadata{}, &metav1.PartialObjectMetadata{}
		metadata.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
		g.Expect(admin.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: sourcesecret.SecretName}, metadata)).To(Succeed())
		sourcesecret.NoteKeyPairMade(kept, metadata)
		return sourcesecret.IsKeyPairMade(kept)
	}
	ensure := func() {
		_, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), admin, namespace, private("ssh://git@github.com/owner/repo"), nil)
		g.Expect(err).NotTo(HaveOccurred())
	}

	ensure()
	g.Expect(made()).To(BeTrue())
	secret := readSecret(t, namespace)
	secret.Data["identity"], secret.Data["identity.pub"] = pair.PrivateKey, pair.PublicKey
	g.Expect(admin.Update(t.Context(), secret)).To(Succeed())
	g.Expect(made()).To(BeFalse(), "the admin's own")

	g.Expect(admin.Delete(t.Context(), secret)).To(Succeed())
	writeSecret(t, namespace, map[string][]byte{"identity": pair.PrivateKey})
	ensure()
	g.Expect(made()).To(BeFalse(), "the admin's own, completed")

	secret = readSecret(t, namespace)
	delete(secret.Data, "identity")
	delete(secret.Data, "identity.pub")
	g.Expect(admin.Update(t.Context(), secret)).To(Succeed())
	ensure()
	g.Expect(made()).To(BeTrue(), "made into the admin's Secret")
}
