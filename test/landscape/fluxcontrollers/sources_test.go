// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/yaml"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/githubapi"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

var update = flag.Bool("update", false, "write the golden files of what source-controller says")

// failure is what a source's condition Ready says.
type failure struct {
	Reason  string `json:"reason"`
	Message string `json:"message"`
}

// data is that of a Secret.
type data map[string]string

// with returns the data with that of another, in which an empty value removes a key.
func (d data) with(other data) data {
	merged := data{}
	for _, from := range []data{d, other} {
		for key, value := range from {
			if merged[key] = value; value == "" {
				delete(merged, key)
			}
		}
	}
	return merged
}

// sources are what Flux can follow, and a shoot in which Flux runs.
type sources struct {
	*testing.T

	client   client.Client
	dir      string
	bin      process.Binaries
	git      *gitserver.Server
	github   *githubapi.Server
	registry *registry.Registry
	// golden is what source-controller has said of mistakes, by the name of the case; observed is what it says now.
	golden, observed map[string]failure
	// ca is the certificate of the authority of them all, stranger that of another.
	ca, stranger string
}

// startSources starts them. The golden file, in testdata, has what source-controller says of the mistakes of one kind of source: package
// readiness makes sentences of it.
func startSources(t *testing.T, goldenFile string) *sources {
	t.Helper()
	g := NewWithT(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	dir := t.TempDir()
	showLogs(t, dir)
	shoot := startShoot(t, cluster.Options{Dir: dir, Bin: bin})
	s := &sources{T: t, dir: dir, bin: bin, client: newClient(t, shoot), golden: map[string]failure{}, observed: map[string]failure{}}
	s.compareAtEnd(filepath.Join("testdata", goldenFile))
	controllers, err := fluxcontrollers.Start(context.Background(), fluxcontrollers.Options{Name: shoot.Name, Shoot: shoot.AdminConfig, Bin: bin, Dir: dir, Log: ctrllog.Log})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(controllers.Stop()).To(Succeed()) })
	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())

	s.git, err = gitserver.Start(t.Context(), gitserver.Options{Dir: filepath.Join(dir, "git")})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(s.git.Close)
	s.github, err = githubapi.Start(githubapi.Options{Git: s.git.Store})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(s.github.Close()).To(Succeed()) })
	authority, err := s.git.Authority()
	g.Expect(err).NotTo(HaveOccurred())
	s.registry, err = registry.Start(t.Context(), registry.Options{Bin: bin, Dir: dir, Address: registryAddress(), Authority: authority, OnExit: func(err error) { t.Error(err) }})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(s.registry.Stop()).To(Succeed()) })

	ca, err := authority.PEM()
	g.Expect(err).NotTo(HaveOccurred())
	other, err := certificates.NewAuthority("stranger")
	g.Expect(err).NotTo(HaveOccurred())
	stranger, err := other.PEM()
	g.Expect(err).NotTo(HaveOccurred())
	s.ca, s.stranger = string(ca), string(stranger)
	return s
}

// registryAddress is one for which clients make no exception, as they do for 127.0.0.1.
func registryAddress() string {
	if runtime.GOOS == "linux" {
		return "127.0.0.2"
	}
	return ""
}

// repository makes a private one, which a password reads, and a token.
func (s *sources) repository(name string) *gitserver.Repository {
	s.Helper()
	g := NewWithT(s)
	repository, err := s.git.CreateRepository(s.Context(), "team/"+name, false)
	g.Expect(err).NotTo(HaveOccurred())
	for _, credential := range []gitserver.Credential{
		{Name: "password", Username: "flux", Password: "right"},
		{Name: "token", BearerToken: "right"},
		{Name: "expired", BearerToken: "expired", Expires: time.Now().Add(-time.Second)},
		{Name: "scope", BearerToken: "other-scope", Forbidden: true},
		{Name: "certificate", Certificate: "flux"},
	} {
		g.Expect(repository.AddCredential(credential)).To(Succeed())
	}
	return repository
}

// password reads the repositories.
func (s *sources) password() data {
	return data{"username": "flux", "password": "right", "ca.crt": s.ca}
}

// gitRepository is a source of a private repository.
func (s *sources) gitRepository(url func() (string, error), change ...func(*sourcev1.GitRepositorySpec)) *sourcev1.GitRepository {
	s.Helper()
	at, err := url()
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	object := gitRepository(at)
	object.Spec.Interval = metav1.Duration{Duration: time.Hour} // nobody reads but whom a test lets read: uses of credentials are counted
	for _, c := range change {
		c(&object.Spec)
	}
	return object
}

// push pushes an artifact whose content is a text.
func (s *sources) push(repository, tag, text string) (digest string) {
	s.Helper()
	digest, err := s.registry.Push(s.Context(), repository, tag, registry.Artifact{Files: fstest.MapFS{"a.yaml": {Data: []byte(text), Mode: 0o644}}, Revision: "main@sha1:1"})
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	return digest
}

// ociRepository is a source of a repository of the registry.
func (s *sources) ociRepository(repository string, reference *sourcev1.OCIRepositoryRef, change ...func(*sourcev1.OCIRepositorySpec)) *sourcev1.OCIRepository {
	object := &sourcev1.OCIRepository{Spec: sourcev1.OCIRepositorySpec{
		URL: s.registry.URL(repository), Interval: metav1.Duration{Duration: time.Hour}, Timeout: &metav1.Duration{Duration: 20 * time.Second}, Reference: reference,
		CertSecretRef: &meta.LocalObjectReference{Name: "registry-ca"}, SecretRef: &meta.LocalObjectReference{Name: "registry"},
	}}
	for _, c := range change {
		c(&object.Spec)
	}
	return object
}

// createSecret makes or replaces one of the shoot.
func (s *sources) createSecret(name string, kind corev1.SecretType, content data) {
	s.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Type: kind, StringData: content}
	NewWithT(s).Expect(client.IgnoreNotFound(s.client.Delete(s.Context(), secret))).To(Succeed())
	secret.ResourceVersion = ""
	NewWithT(s).Expect(s.client.Create(s.Context(), secret)).To(Succeed())
}

// pullSecret makes or replaces the registry's Secrets of the shoot.
func (s *sources) pullSecret() {
	s.Helper()
	content, err := s.registry.PullSecret()
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	s.createSecret("registry", corev1.SecretTypeDockerConfigJson, data{corev1.DockerConfigJsonKey: string(content)})
	s.createSecret("registry-ca", corev1.SecretTypeOpaque, data{"ca.crt": s.ca})
}

// source is what GitRepository and OCIRepository have in common.
type source interface {
	client.Object
	GetConditions() []metav1.Condition
	GetArtifact() *meta.Artifact
}

// create makes a source with a name, and with a Secret of its own if there is content for it.
func (s *sources) create(name string, object source, content data) {
	s.Helper()
	object.SetNamespace(namespace)
	object.SetName(name)
	if git, ok := object.(*sourcev1.GitRepository); ok && content != nil {
		git.Spec.SecretRef = &meta.LocalObjectReference{Name: name}
		s.createSecret(name, corev1.SecretTypeOpaque, content)
	}
	NewWithT(s).Expect(s.client.Create(s.Context(), object)).To(Succeed())
}

// reconcile asks source-controller to look now.
func (s *sources) reconcile(object source) {
	s.Helper()
	patch := []byte(`{"metadata":{"annotations":{"` + meta.ReconcileRequestAnnotation + `":"` + time.Now().Format(time.RFC3339Nano) + `"}}}`)
	NewWithT(s).Expect(s.client.Patch(s.Context(), object, client.RawPatch("application/merge-patch+json", patch))).To(Succeed())
}

// look returns the source's condition Ready.
func (s *sources) look(g Gomega, object source) *metav1.Condition {
	g.Expect(s.client.Get(s.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
	condition := apimeta.FindStatusCondition(object.GetConditions(), meta.ReadyCondition)
	g.Expect(condition).NotTo(BeNil())
	return condition
}

// expectRevision waits for a revision that has the text in it. source-controller writes conditions before the artifact.
func (s *sources) expectRevision(t *testing.T, object source, revision string) {
	t.Helper()
	NewWithT(t).Eventually(func(g Gomega) {
		g.Expect(s.look(g, object)).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Message", ContainSubstring(revision))))
		g.Expect(object.GetArtifact()).NotTo(BeNil())
		g.Expect(object.GetArtifact().Revision).To(ContainSubstring(revision))
	}, timeout).Should(Succeed())
}

// expectFailure waits until source-controller says of the source what the golden file has under the name. It may say something else before:
// of a connection, for example, that it was reset.
func (s *sources) expectFailure(t *testing.T, name string, object source) {
	t.Helper()
	NewWithT(t).Eventually(func(g Gomega) {
		condition := s.look(g, object)
		g.Expect(condition.Status).To(Equal(metav1.ConditionFalse), condition.Message)
		s.observed[name] = failure{Reason: condition.Reason, Message: s.normalise(condition.Message)}
		if !*update {
			g.Expect(s.observed[name]).To(Equal(s.golden[name]))
		}
	}, timeout).Should(Succeed(), name)
}

// compareAtEnd reads the golden file, and compares it with what was observed when the test ends.
func (s *sources) compareAtEnd(file string) {
	s.Helper()
	g := NewWithT(s)
	content, err := os.ReadFile(file)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(yaml.UnmarshalStrict(content, &s.golden)).To(Succeed())
	s.Cleanup(func() {
		if *update {
			const comment = "# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors\n#\n# SPDX-License-Identifier: Apache-2.0\n\n" +
				"# What source-controller says of mistakes, by the name of the test's case. Written by `go test ./test/landscape/fluxcontrollers -run 'Sources$' -update`.\n"
			content, err := yaml.Marshal(s.observed)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(os.WriteFile(file, append([]byte(comment), content...), 0o600)).To(Succeed())
			return
		}
		g.Expect(s.observed).To(Equal(s.golden))
	})
}

var (
	ephemeralPort = regexp.MustCompile(`127\.0\.0\.\d+:\d+->`)
	hexDigest     = regexp.MustCompile(`sha256:[0-9a-f]{64}`)
	installation  = regexp.MustCompile(`/installations/\d+/`)
	hexCommit     = regexp.MustCompile(`\b[0-9a-f]{40}\b`)
)

func (s *sources) normalise(message string) string {
	g := NewWithT(s)
	names := []string{s.registry.Host, "registry.example.org", strings.TrimPrefix(s.github.BaseURL(), "https://"), "api.github.example.org"}
	repository, err := s.git.Repository("team/fleet")
	g.Expect(err).NotTo(HaveOccurred())
	for host, url := range map[string]func() (string, error){"git.example.org": repository.HTTPSURL, "http.example.org": repository.HTTPURL, "mutual-tls.example.org": repository.MutualTLSURL} {
		at, err := url()
		g.Expect(err).NotTo(HaveOccurred())
		address := strings.Split(at, "/")[2]
		_, port, _ := strings.Cut(address, ":")
		names = append(names, address, host, "localhost:"+port, "localhost")
	}
	message = strings.NewReplacer(names...).Replace(ephemeralPort.ReplaceAllString(message, ""))
	message = installation.ReplaceAllString(message, "/installations/<number>/")
	return hexCommit.ReplaceAllString(hexDigest.ReplaceAllString(message, "sha256:<digest>"), "<commit>")
}

// app is a GitHub App that reads a repository, as a Secret has it.
func (s *sources) app(repository *gitserver.Repository) (data, *githubapi.Installation) {
	s.Helper()
	app, err := s.github.CreateApp("flux")
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	installation := app.Install("team", repository)
	return data{
		"githubAppID": strconv.FormatInt(app.ID, 10), "githubAppInstallationID": strconv.FormatInt(installation.ID, 10),
		"githubAppPrivateKey": string(app.PrivateKey), "githubAppBaseURL": s.github.BaseURL(), "ca.crt": s.ca,
	}, installation
}

func otherPrivateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}

func provider(name string) func(*sourcev1.GitRepositorySpec) {
	return func(spec *sourcev1.GitRepositorySpec) { spec.Provider = name }
}

func reference(r sourcev1.GitRepositoryRef) func(*sourcev1.GitRepositorySpec) {
	return func(spec *sourcev1.GitRepositorySpec) { spec.Reference = &r }
}
