// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	gitURL = "https://git.example.com/fleet/shoots.git"
	ociURL = "oci://registry.example.com:5000/fleet/shoots"
)

// material is what an admin has.
type material struct {
	// ca has certificates of two authorities.
	ca []byte
	// cert and key belong together, and otherKey to no one.
	cert, key, otherKey []byte
	// appKey is an RSA key as GitHub makes it, and pkcs8 the same in another form.
	appKey, pkcs8 []byte
}

func newMaterial(t testing.TB) *material {
	t.Helper()
	g := NewWithT(t)
	encode := func(kind string, der []byte, err error) []byte {
		g.Expect(err).NotTo(HaveOccurred())
		return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	}
	encodeKey := func(key crypto.Signer) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return encode("PRIVATE KEY", der, err)
	}
	newKey := func() *ecdsa.PrivateKey {
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		g.Expect(err).NotTo(HaveOccurred())
		return key
	}
	certify := func(key *ecdsa.PrivateKey) []byte {
		template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
		der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
		return encode("CERTIFICATE", der, err)
	}
	client := newKey()
	app, err := rsa.GenerateKey(rand.Reader, 2048)
	g.Expect(err).NotTo(HaveOccurred())
	return &material{
		ca:   slices.Concat([]byte("# ours\n"), certify(newKey()), []byte("# and another\n"), certify(newKey())),
		cert: certify(client), key: encodeKey(client), otherKey: encodeKey(newKey()),
		appKey: pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(app)}), pkcs8: encodeKey(app),
	}
}

// dockerConfig is what docker login writes for a host.
func dockerConfig(host, user string) []byte {
	return []byte(`{"auths":{"` + host + `":{"auth":"` + base64.StdEncoding.EncodeToString([]byte(user)) + `"}}}`)
}

// data is written as keys and values, one after the other.
func data(pairs ...any) map[string][]byte {
	made := map[string][]byte{}
	for i := 0; i < len(pairs); i += 2 {
		switch value := pairs[i+1].(type) {
		case string:
			made[pairs[i].(string)] = []byte(value)
		case []byte:
			made[pairs[i].(string)] = value
		}
	}
	return made
}

func with(base map[string][]byte, pairs ...any) map[string][]byte {
	made := data(pairs...)
	for key, value := range base {
		if _, replaced := made[key]; !replaced {
			made[key] = value
		}
	}
	return made
}

// TestWritten has everything that an admin can write, and what the shoot gets of it.
func TestWritten(t *testing.T) {
	m := newMaterial(t)
	app := data("githubAppID", "1", "githubAppInstallationID", "2", "githubAppPrivateKey", m.appKey)
	pull := dockerConfig("registry.example.com:5000", "ops:hunter2")
	for name, tc := range map[string]struct {
		url  string
		data map[string][]byte
		kind Kind
		// secretRef and certSecretRef are the keys of the Secrets.
		secretRef, certSecretRef []string
	}{
		"username and password":          {url: gitURL, data: data("username", "ops", "password", "hunter2"), kind: KindBasicAuth, secretRef: []string{"password", "username"}},
		"with CA and client certificate": {url: gitURL, data: data("username", "ops", "password", "p:w d", "ca.crt", m.ca, "tls.crt", m.cert, "tls.key", m.key), kind: KindBasicAuth, secretRef: []string{"ca.crt", "password", "tls.crt", "tls.key", "username"}},
		"bearer token":                   {url: gitURL, data: data("bearerToken", "t0ken-._~+/="), kind: KindBearerToken, secretRef: []string{"bearerToken"}},
		"bearer token with CA":           {url: gitURL, data: data("bearerToken", "t0ken", "ca.crt", m.ca), kind: KindBearerToken, secretRef: []string{"bearerToken", "ca.crt"}},
		"GitHub App":                     {url: gitURL, data: app, kind: KindGitHubApp, secretRef: []string{"githubAppID", "githubAppInstallationID", "githubAppPrivateKey"}},
		"GitHub App of an owner": {url: gitURL, data: data("githubAppID", "1", "githubAppInstallationOwner", "my-org", "githubAppPrivateKey", m.pkcs8),
			kind: KindGitHubApp, secretRef: []string{"githubAppID", "githubAppInstallationOwner", "githubAppPrivateKey"}},
		"GitHub App of an enterprise": {url: gitURL, data: with(app, "githubAppBaseURL", "https://github.example.com/api/v3", "ca.crt", m.ca),
			kind: KindGitHubApp, secretRef: []string{"ca.crt", "githubAppBaseURL", "githubAppID", "githubAppInstallationID", "githubAppPrivateKey"}},
		"only a CA":                  {url: gitURL, data: data("ca.crt", m.ca), kind: KindCertificates, secretRef: []string{"ca.crt"}},
		"only a client certificate":  {url: gitURL, data: data("tls.crt", m.cert, "tls.key", m.key), kind: KindCertificates, secretRef: []string{"tls.crt", "tls.key"}},
		"what is for others is left": {url: gitURL, data: data("bearerToken", "t0ken", "identity", "x", "known_hosts", "x", ".dockerconfigjson", "x", "note", "x", "caFile", "x"), kind: KindBearerToken, secretRef: []string{"bearerToken"}},

		"pull secret":                         {url: ociURL, data: data(".dockerconfigjson", pull), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
		"pull secret for a path":              {url: ociURL, data: data(".dockerconfigjson", dockerConfig("registry.example.com:5000/fleet", "ops:hunter2")), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
		"pull secret for a domain":            {url: ociURL, data: data(".dockerconfigjson", dockerConfig("*.example.com:5000", "ops:hunter2")), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
		"pull secret for Docker Hub":          {url: "oci://docker.io/fleet/shoots", data: data(".dockerconfigjson", dockerConfig("https://index.docker.io/v1/", "ops:hunter2")), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
		"pull secret with CA":                 {url: ociURL, data: data(".dockerconfigjson", pull, "ca.crt", m.ca), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}, certSecretRef: []string{"ca.crt"}},
		"user of a registry":                  {url: ociURL, data: data("username", "ops", "password", "hunter2"), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
		"user of a registry with certificate": {url: ociURL, data: data("username", "ops", "password", "hunter2", "tls.crt", m.cert, "tls.key", m.key), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}, certSecretRef: []string{"tls.crt", "tls.key"}},
		"only a CA of a registry":             {url: ociURL, data: data("ca.crt", m.ca), kind: KindCertificates, certSecretRef: []string{"ca.crt"}},
		"pull secret beside those for Git":    {url: ociURL, data: with(app, ".dockerconfigjson", pull, "bearerToken", "x", "username", "x"), kind: KindRegistry, secretRef: []string{".dockerconfigjson"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			secret := &corev1.Secret{Type: "example.com/any", Data: tc.data}
			credentials, err := readFor(secret, tc.url, nil)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(credentials.Kind).To(Equal(tc.kind))
			g.Expect(keysOf(credentials.SecretRef)).To(Equal(tc.secretRef))
			g.Expect(keysOf(credentials.CertSecretRef)).To(Equal(tc.certSecretRef))
			g.Expect(credentials.Provider == "github").To(Equal(tc.kind == KindGitHubApp))
			g.Expect(credentials.PublicKey()).To(BeEmpty())
			g.Expect(credentials.Created).To(BeFalse())
			for _, secret := range credentials.Secrets() {
				isRegistry := slices.Contains(secret.Data.Keys(), ".dockerconfigjson")
				g.Expect(secret.Type == corev1.SecretTypeDockerConfigJson).To(Equal(isRegistry))
				g.Expect(secret.Name == "flux-source-registry").To(Equal(isRegistry), "a Secret of another type has another name")
				g.Expect(ShootSecretNames()).To(ContainElement(secret.Name))
				for key, value := range secret.Data {
					if key != ".dockerconfigjson" {
						g.Expect(value).To(Equal(tc.data[key]))
					}
				}
			}
		})
	}
}

func keysOf(secret *ShootSecret) []string {
	if secret == nil {
		return nil
	}
	return secret.Data.Keys()
}

// TestUserOfARegistry is written as kubectl does.
func TestUserOfARegistry(t *testing.T) {
	for url, host := range map[string]string{ociURL: "registry.example.com:5000", "oci://docker.io/fleet/shoots": "index.docker.io", "oci://ghcr.io/fleet/shoots": "ghcr.io"} {
		g := NewWithT(t)
		credentials, err := readFor(&corev1.Secret{Data: data("username", "ops", "password", `hunter"2`)}, url, nil)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(credentials.SecretRef.Data[KeyDockerConfig]).To(MatchJSON(`{"auths":{"` + host + `":{"username":"ops","password":"hunter\"2","auth":"` +
			base64.StdEncoding.EncodeToString([]byte(`ops:hunter"2`)) + `"}}}`))
	}
}

// TestMistakes has what can't be used, and the sentence about it. Whatever the admin has written, the sentence does not repeat it.
func TestMistakes(t *testing.T) {
	m := newMaterial(t)
	const secret = "hunter2"
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte(secret)})
	damaged := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte(secret)})
	app := data("githubAppID", "1", "githubAppInstallationID", "2", "githubAppPrivateKey", m.appKey)
	for name, tc := range map[string]struct {
		url  string
		data map[string][]byte
		want string
	}{
		"http": {url: "http://git.example.com/fleet", data: data("username", "ops", "password", secret),
			want: "its credentials would be sent in the clear: write https:// in place of http:// in key repositoryUrl of ConfigMap flux-config"},

		"username without password":               {url: gitURL, data: data("username", secret), want: "key username is there, but not password: add it, which can be a token"},
		"password without username":               {url: gitURL, data: data("password", secret), want: "key password is there, but not username: add it (for a token, many servers take any name)"},
		"username without password of a registry": {url: ociURL, data: data("username", secret), want: "key username is there, but not password: add it, which can be a token"},
		"empty password":                          {url: gitURL, data: data("username", secret, "password", ""), want: "key password is empty: write its value, or remove the key"},
		"long password":                           {url: gitURL, data: data("username", "ops", "password", strings.Repeat(secret, 3000)), want: "key password has more than 16384 bytes: write what belongs there"},
		"username with password":                  {url: gitURL, data: data("username", "ops:"+secret, "password", secret), want: "key username has a colon, behind which the password would begin: write the name alone"},
		"password with line end":                  {url: gitURL, data: data("username", "ops", "password", secret+"\n"), want: "key password ends with a line break: write it without one (printf %s, or --from-literal of kubectl)"},
		"password with space":                     {url: gitURL, data: data("username", "ops", "password", " "+secret), want: "key password begins or ends with a space: write it without"},
		"password with two lines":                 {url: gitURL, data: data("username", "ops", "password", secret+"\n"+secret), want: "key password has a line break or another invisible character in it: write it again"},
		"password in UTF-16":                      {url: gitURL, data: data("username", "ops", "password", utf16Text(secret)), want: "key password has a line break or another invisible character in it: write it again"},
		"token and user":                          {url: gitURL, data: data("username", "ops", "password", secret, "bearerToken", secret), want: "it holds password, username as well as bearerToken, and only one of them can be used: remove the keys of the others"},
		"token and App":                           {url: gitURL, data: with(app, "bearerToken", secret), want: "it holds bearerToken as well as githubAppID, githubAppInstallationID, githubAppPrivateKey, and only one of them can be used: remove the keys of the others"},
		"user and a part of an App": {url: gitURL, data: data("username", "ops", "password", secret, "githubAppID", "1"),
			want: "it holds password, username as well as githubAppID, and only one of them can be used: remove the keys of the others"},

		"token with the word Bearer": {url: gitURL, data: data("bearerToken", "Bearer "+secret), want: "key bearerToken begins with the word Bearer: write the token alone"},
		"token with a line end":      {url: gitURL, data: data("bearerToken", secret+"\r\n"), want: "key bearerToken ends with a line break: write it without one (printf %s, or --from-literal of kubectl)"},
		"token with a space":         {url: gitURL, data: data("bearerToken", secret+" "+secret), want: "key bearerToken has a space or a letter that no token has: write the token alone"},
		"token with another letter":  {url: gitURL, data: data("bearerToken", secret+"ü"), want: "key bearerToken has a space or a letter that no token has: write the token alone"},

		"App without ID":          {url: gitURL, data: data("githubAppInstallationID", "2", "githubAppPrivateKey", m.appKey), want: "key githubAppID is missing, which a GitHub App needs: add it"},
		"App without key":         {url: gitURL, data: data("githubAppID", "1", "githubAppInstallationID", "2"), want: "key githubAppPrivateKey is missing, which a GitHub App needs: add it"},
		"App without place":       {url: gitURL, data: data("githubAppID", "1", "githubAppPrivateKey", m.appKey), want: "of the keys githubAppInstallationID and githubAppInstallationOwner, a GitHub App needs one and not the other: the number of the installation, or the user or organisation where it is"},
		"App with two places":     {url: gitURL, data: with(app, "githubAppInstallationOwner", "my-org"), want: "of the keys githubAppInstallationID and githubAppInstallationOwner, a GitHub App needs one and not the other: the number of the installation, or the user or organisation where it is"},
		"App with client ID":      {url: gitURL, data: with(app, "githubAppID", "Iv1.8a61f9b3a7aba766"), want: "key githubAppID is not a number: write the one that GitHub shows (not the client ID)"},
		"App with ID of a line":   {url: gitURL, data: with(app, "githubAppID", "1\n"), want: "key githubAppID ends with a line break: write it without one (printf %s, or --from-literal of kubectl)"},
		"App with negative place": {url: gitURL, data: with(app, "githubAppInstallationID", "-2"), want: "key githubAppInstallationID is not a number: write the one that GitHub shows (not the client ID)"},
		"App with page of owner": {url: gitURL, data: data("githubAppID", "1", "githubAppInstallationOwner", "https://github.com/my-org", "githubAppPrivateKey", m.appKey),
			want: "key githubAppInstallationOwner is not the name of a user or organisation of GitHub: write it as in the address of its page"},
		"App with another key":   {url: gitURL, data: with(app, "githubAppPrivateKey", m.key), want: "key githubAppPrivateKey is not an RSA private key in PEM form without passphrase: write the file that GitHub made for the App"},
		"App with encrypted key": {url: gitURL, data: with(app, "githubAppPrivateKey", encrypted), want: "key githubAppPrivateKey is not an RSA private key in PEM form without passphrase: write the file that GitHub made for the App"},
		"App with no key":        {url: gitURL, data: with(app, "githubAppPrivateKey", secret), want: "key githubAppPrivateKey is not an RSA private key in PEM form without passphrase: write the file that GitHub made for the App"},
		"App in the clear":       {url: gitURL, data: with(app, "githubAppBaseURL", "http://github.example.com/api/v3"), want: `key githubAppBaseURL is not the address of an API: write it as "https://github.example.com/api/v3", or remove it for github.com`},
		"App with a user":        {url: gitURL, data: with(app, "githubAppBaseURL", "https://"+secret+"@github.example.com/api/v3"), want: `key githubAppBaseURL is not the address of an API: write it as "https://github.example.com/api/v3", or remove it for github.com`},

		"CA is none":              {url: gitURL, data: data("ca.crt", secret), want: "key ca.crt is not a certificate in PEM form, or not whole: write it with its lines BEGIN CERTIFICATE and END CERTIFICATE"},
		"CA is cut":               {url: gitURL, data: data("ca.crt", m.ca[:len(m.ca)-40]), want: "key ca.crt is not a certificate in PEM form, or not whole: write it with its lines BEGIN CERTIFICATE and END CERTIFICATE"},
		"CA is damaged":           {url: gitURL, data: data("ca.crt", slices.Concat(m.ca, damaged)), want: "certificate 3 of key ca.crt can't be read: write it again"},
		"CA with its private key": {url: gitURL, data: data("ca.crt", slices.Concat(m.ca, m.otherKey)), want: "key ca.crt holds a private key: write nothing but certificates there"},
		"CA is a public key":      {url: gitURL, data: data("ca.crt", pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: []byte(secret)})), want: "part 1 of key ca.crt is not a certificate: write nothing but certificates there"},
		"CA is long":              {url: gitURL, data: data("ca.crt", bytes.Repeat(m.ca, 100)), want: "key ca.crt has more than 65536 bytes: write what belongs there"},
		"CA of a registry":        {url: ociURL, data: data("ca.crt", secret), want: "key ca.crt is not a certificate in PEM form, or not whole: write it with its lines BEGIN CERTIFICATE and END CERTIFICATE"},
		"certificate without key": {url: gitURL, data: data("tls.crt", m.cert), want: "key tls.crt is there, but not tls.key: add it, or remove both if the server wants no certificate of the client"},
		"key without certificate": {url: ociURL, data: data("tls.key", m.key), want: "key tls.key is there, but not tls.crt: add it, or remove both if the server wants no certificate of the client"},
		"key of another":          {url: gitURL, data: data("tls.crt", m.cert, "tls.key", m.otherKey), want: "key tls.key does not belong to key tls.crt: write the two that belong together, the client's own certificate first"},
		"key of another type":     {url: gitURL, data: data("tls.crt", m.cert, "tls.key", m.appKey), want: "key tls.key does not belong to key tls.crt: write the two that belong together, the client's own certificate first"},
		"key is encrypted":        {url: gitURL, data: data("tls.crt", m.cert, "tls.key", encrypted), want: "key tls.key is encrypted with a passphrase: write the private key without passphrase (openssl pkey removes it)"},
		"key is none":             {url: gitURL, data: data("tls.crt", m.cert, "tls.key", secret), want: "key tls.key is not a private key in PEM form: write it with its lines BEGIN and END"},
		"key is damaged":          {url: gitURL, data: data("tls.crt", m.cert, "tls.key", pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte(secret)})), want: "key tls.key is not a private key that TLS can use: write the one of tls.crt"},
		"certificate with key":    {url: gitURL, data: data("tls.crt", slices.Concat(m.cert, m.key), "tls.key", m.key), want: "key tls.crt holds a private key: write nothing but certificates there"},

		"no JSON":                   {url: ociURL, data: data(".dockerconfigjson", secret), want: "key .dockerconfigjson is not what docker login writes: make it with kubectl create secret docker-registry"},
		"no base64":                 {url: ociURL, data: data(".dockerconfigjson", `{"auths":{"registry.example.com:5000":{"auth":"`+secret+`?"}}}`), want: "key .dockerconfigjson is not what docker login writes: make it with kubectl create secret docker-registry"},
		"another registry":          {url: ociURL, data: data(".dockerconfigjson", dockerConfig("registry.example.com", "ops:"+secret)), want: "key .dockerconfigjson has nothing for registry.example.com:5000: add it to its auths, by this name"},
		"another path":              {url: ociURL, data: data(".dockerconfigjson", dockerConfig("registry.example.com:5000/other", "ops:"+secret)), want: "key .dockerconfigjson has nothing for registry.example.com:5000: add it to its auths, by this name"},
		"Docker Hub by short name":  {url: "oci://docker.io/fleet/shoots", data: data(".dockerconfigjson", dockerConfig("docker.io", "ops:"+secret)), want: "key .dockerconfigjson has nothing for index.docker.io: add it to its auths, by this name"},
		"no registry at all":        {url: ociURL, data: data(".dockerconfigjson", `{}`), want: "key .dockerconfigjson has nothing for registry.example.com:5000: add it to its auths, by this name"},
		"in a credential store":     {url: ociURL, data: data(".dockerconfigjson", `{"auths":{"registry.example.com:5000":{}},"credsStore":"osxkeychain"}`), want: "key .dockerconfigjson has no username and password for registry.example.com:5000: docker login has put them into a store of its own, so make it with kubectl create secret docker-registry"},
		"not the address of an OCI": {url: "oci://registry.example.com/Fleet", data: data("username", "ops", "password", secret), want: `repositoryUrl is not the address of an OCI repository: write it as "oci://registry.example.com/path/of/repository"`},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			_, err := readFor(&corev1.Secret{Data: tc.data}, tc.url, nil)
			g.Expect(err).To(MatchError(tc.want))
			g.Expect(err.Error()).NotTo(ContainSubstring(secret))
			g.Expect(len(err.Error())).To(BeNumerically("<", 512))
		})
	}
}

// TestMissing says what to write, and where.
func TestMissing(t *testing.T) {
	const (
		gitKeys = "username and password; bearerToken; those of a GitHub App; ca.crt; tls.crt and tls.key"
		ociKeys = ".dockerconfigjson; username and password; ca.crt; tls.crt and tls.key"
	)
	for name, tc := range map[string]struct {
		url    string
		exists bool
		data   map[string][]byte
		want   string
	}{
		"no Secret for Git": {url: gitURL, want: "it does not exist, and a private repository is read with it: make it, for example by " +
			`"kubectl -n garden-shop create secret generic flux-source --from-literal=username=NAME --from-literal=password=TOKEN" (keys that can be used: ` + gitKeys + ")"},
		"no Secret for OCI": {url: ociURL, want: "it does not exist, and a private repository is read with it: make it, for example by " +
			`"kubectl -n garden-shop create secret docker-registry flux-source --docker-server=registry.example.com:5000 --docker-username=NAME --docker-password=TOKEN" (keys that can be used: ` + ociKeys + ")"},
		"no Secret for Docker Hub": {url: "oci://docker.io/fleet/shoots", want: "it does not exist, and a private repository is read with it: make it, for example by " +
			`"kubectl -n garden-shop create secret docker-registry flux-source --docker-server=index.docker.io --docker-username=NAME --docker-password=TOKEN" (keys that can be used: ` + ociKeys + ")"},
		"that for SSH":     {url: gitURL, exists: true, data: data("identity", "x"), want: "it has none of the keys that can be used here (" + gitKeys + "): add what the repository needs"},
		"empty":            {url: ociURL, exists: true, want: "it has none of the keys that can be used here (" + ociKeys + "): add what the repository needs"},
		"token for OCI":    {url: ociURL, exists: true, data: data("bearerToken", "x"), want: "it has none of the keys that can be used here (" + ociKeys + "): add what the repository needs"},
		"old name of a CA": {url: gitURL, exists: true, data: data("caFile", "x"), want: "it has none of the keys that can be used here (" + gitKeys + "): key caFile is called ca.crt"},
		"token":            {url: gitURL, exists: true, data: data("token", "x"), want: "it has none of the keys that can be used here (" + gitKeys + "): key token is called bearerToken, or password beside username"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			secret := &corev1.Secret{Data: tc.data}
			if tc.exists {
				secret.ObjectMeta = metav1.ObjectMeta{Namespace: "garden-shop", Name: SecretName}
			}
			_, err := readFor(secret, tc.url, nil)
			g.Expect(errors.Is(err, errNothing)).To(BeTrue())
			g.Expect(explainMissing(secret, "garden-shop", tc.url)).To(MatchError(tc.want))
		})
	}
}

// TestEverythingIsBounded: what a shoot gets has room in the Secret of a ManagedResource.
func TestEverythingIsBounded(t *testing.T) {
	total := 0
	for _, keys := range [][]string{gitKeys, registryKeys} {
		for _, key := range keys {
			NewWithT(t).Expect(maxLengths[key]).To(BeNumerically(">", 0), key)
			total += maxLengths[key]
		}
	}
	NewWithT(t).Expect(total).To(BeNumerically("<", corev1.MaxSecretSize/2))
}
