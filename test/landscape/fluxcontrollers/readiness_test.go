// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	ctrllog "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	fluxkinds "github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/fluxcontrollers"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// git runs real Git.
func git(t *testing.T, args ...string) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "git", args...)
	command.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null",
		// It would go on in the background, where the test removes its directory.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false",
		"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
	out, err := command.CombinedOutput()
	NewWithT(t).Expect(err).NotTo(HaveOccurred(), string(out))
}

// remake makes a served repository anew, without content or with that of another one.
func remake(t *testing.T, repository *gitserver.Repository, args ...string) {
	t.Helper()
	export, err := filepath.Glob(filepath.Join(repository.Dir(), "*export*"))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(os.RemoveAll(repository.Dir())).To(Succeed())
	git(t, append(args, repository.Dir())...)
	for _, name := range export {
		NewWithT(t).Expect(os.WriteFile(name, nil, 0o600)).To(Succeed())
	}
}

// identity is a key pair that nobody has registered.
func identity(t *testing.T) map[string][]byte {
	t.Helper()
	g := NewWithT(t)
	_, private, err := ed25519.GenerateKey(nil)
	g.Expect(err).NotTo(HaveOccurred())
	block, err := ssh.MarshalPrivateKey(private, "")
	g.Expect(err).NotTo(HaveOccurred())
	signer, err := ssh.NewSignerFromKey(private)
	g.Expect(err).NotTo(HaveOccurred())
	return map[string][]byte{"identity": pem.EncodeToMemory(block), "identity.pub": ssh.MarshalAuthorizedKey(signer.PublicKey())}
}

// otherType is a public key of a type of which the Git server has none.
func otherType(t *testing.T) string {
	t.Helper()
	g := NewWithT(t)
	private, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	public, err := ssh.NewPublicKey(&private.PublicKey)
	g.Expect(err).NotTo(HaveOccurred())
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
}

// TestReasons compares what the table of package readiness expects with what source-controller says of a real Git server.
func TestReasons(t *testing.T) {
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
	g.Expect(shoot.ApplyYAML(t.Context(), manifests(t))).To(Succeed())
	server, err := gitserver.Start(t.Context(), gitserver.Options{Dir: filepath.Join(dir, "git")})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	content := filepath.Join(dir, "content")
	git(t, "init", "--quiet", "--initial-branch=main", "--object-format=sha256", content)
	g.Expect(os.WriteFile(filepath.Join(content, "a"), []byte("a"), 0o600)).To(Succeed())
	git(t, "-C", content, "add", "a")
	git(t, "-C", content, "commit", "--quiet", "--message=a")

	for name, test := range map[string]struct {
		// change makes something wrong of a public repository or, if it leaves a Secret, of one that is read over SSH.
		change func(*gitserver.Repository, *sourcev1.GitRepository) *corev1.Secret
		reason string
		words  string
	}{
		"empty": {func(r *gitserver.Repository, _ *sourcev1.GitRepository) *corev1.Secret {
			remake(t, r, "init", "--quiet", "--bare")
			return nil
		}, readiness.BranchNotFound, "is empty"},
		"sha-256": {func(r *gitserver.Repository, _ *sourcev1.GitRepository) *corev1.Secret {
			remake(t, r, "clone", "--quiet", "--bare", content)
			return nil
		}, readiness.FetchFailed, "SHA-256"},
		"no-branch": {func(_ *gitserver.Repository, o *sourcev1.GitRepository) *corev1.Secret {
			o.Spec.Reference.Branch = "other"
			return nil
		},
			readiness.BranchNotFound, `has no branch "other"`},
		"no-repository": {func(_ *gitserver.Repository, o *sourcev1.GitRepository) *corev1.Secret { o.Spec.URL += "x"; return nil }, readiness.RepositoryNotFound, "without credentials"},
		"no-host": {func(_ *gitserver.Repository, o *sourcev1.GitRepository) *corev1.Secret {
			o.Spec.URL = "https://git.invalid/a"
			return nil
		}, readiness.HostNotFound, "DNS"},
		"no-server": {func(_ *gitserver.Repository, o *sourcev1.GitRepository) *corev1.Secret {
			o.Spec.URL = "http://127.0.0.1:1/a"
			return nil
		}, readiness.HostUnreachable, "connection"},
		"key": {overSSH(t, server, func(lines []string) []string { return lines }), readiness.AuthenticationFailed, "register this public key"},
		"other-host-key": {overSSH(t, server, func(lines []string) []string {
			return []string{strings.Fields(lines[0])[0] + " " + strings.TrimSpace(string(identity(t)["identity.pub"]))}
		}), readiness.HostKeyMismatch, "host key that is trusted"},
		"other-host-key-type": {overSSH(t, server, func(lines []string) []string {
			return []string{strings.Fields(lines[0])[0] + " " + otherType(t)}
		}), readiness.HostKeyMismatch, "host key that is trusted"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			repository, err := server.CreateRepository(t.Context(), "team/"+name, true)
			g.Expect(err).NotTo(HaveOccurred())
			object := gitRepository("")
			object.Name = name
			object.Spec.URL, err = repository.HTTPURL()
			g.Expect(err).NotTo(HaveOccurred())
			metav1.SetMetaDataAnnotation(&object.ObjectMeta, meta.ReconcileRequestAnnotation, "credentials-1")
			if secret := test.change(repository, object); secret != nil {
				secret.Namespace, secret.Name = namespace, name
				g.Expect(c.Create(t.Context(), secret)).To(Succeed())
				object.Spec.SecretRef = &meta.LocalObjectReference{Name: name}
			}
			g.Expect(c.Create(t.Context(), object)).To(Succeed())
			assess := func(g Gomega) readiness.Readiness {
				g.Expect(c.Get(t.Context(), client.ObjectKeyFromObject(object), object)).To(Succeed())
				content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
				g.Expect(err).NotTo(HaveOccurred())
				source, err := fluxkinds.GitRepository.Read(&unstructured.Unstructured{Object: content})
				g.Expect(err).NotTo(HaveOccurred())
				return readiness.Assess(readiness.Observation{
					Now: time.Now(), Project: "garden-shop", SourceKind: fluxkinds.GitRepository, Source: source, Kustomization: kustomization(),
				})
			}
			g.Eventually(assess, timeout).Should(And(HaveField("Reason", test.reason), HaveField("Message", ContainSubstring(test.words))))
			g.Expect(object.Status.LastHandledReconcileAt).To(Equal("credentials-1"))
			t.Log(assess(g).Message)
		})
	}
}

// overSSH reads a private repository with a key that nobody has registered, and with what is made of the lines of known_hosts.
func overSSH(t *testing.T, server *gitserver.Server, change func([]string) []string) func(*gitserver.Repository, *sourcev1.GitRepository) *corev1.Secret {
	return func(repository *gitserver.Repository, object *sourcev1.GitRepository) *corev1.Secret {
		g := NewWithT(t)
		url, err := repository.SSHURL()
		g.Expect(err).NotTo(HaveOccurred())
		object.Spec.URL = url
		known, err := server.KnownHosts()
		g.Expect(err).NotTo(HaveOccurred())
		data := identity(t)
		data["known_hosts"] = []byte(strings.Join(change(strings.Split(strings.TrimSpace(string(known)), "\n")), "\n") + "\n")
		return &corev1.Secret{Data: data}
	}
}
