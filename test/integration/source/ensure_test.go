// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	fluxssh "github.com/fluxcd/pkg/ssh"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret/sshtest"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

func private(url string) *fluxv1alpha1.Repository {
	return &fluxv1alpha1.Repository{URL: url, Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPrivate}
}

// noHost is for tests in which no Git server may be asked.
func noHost(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("must not be asked")
}

// newPair is what an admin makes: RSA would do, but takes long.
func newPair(t *testing.T) *fluxssh.KeyPair {
	t.Helper()
	pair, err := fluxssh.GenerateKeyPair(fluxssh.ECDSA_P256)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return pair
}

func TestNoCredentialsWithoutPrivateRepository(t *testing.T) {
	g := NewWithT(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	keeper := sourcesecret.NewKeeper(noHost)
	g.Expect(keeper.Ensure(t.Context(), extension, namespace, nil, nil)).To(BeNil())
	g.Expect(keeper.Ensure(t.Context(), extension, namespace, &fluxv1alpha1.Repository{URL: "https://example.org/repo"}, nil)).To(BeNil())
	g.Expect(requests.take()).To(BeEmpty())
}

// TestNotedBeforeItIsWritten stops before the Secret is written: nothing is lost that people should know of the host key.
func TestNotedBeforeItIsWritten(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	keeper := sourcesecret.NewKeeper(nil)
	_, err := keeper.Ensure(t.Context(), extension, namespace, private(server.URL()), nil)
	g.Expect(err).To(MatchError(sourcesecret.ErrPending))
	var noted []sourcesecret.HostKey
	note := func(fails error) sourcesecret.Option {
		return sourcesecret.BeforeWriting(func(_ context.Context, credentials *sourcesecret.Credentials) error {
			noted = credentials.HostKeys
			return fails
		})
	}
	stopped := errors.New("stopped")
	g.Eventually(func() error {
		_, err := keeper.Ensure(t.Context(), extension, namespace, private(server.URL()), nil, note(stopped))
		return err
	}, time.Minute).Should(MatchError(stopped))
	g.Expect(requests.take()).To(HaveEach("GET"))
	want := []sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: server.Fingerprint, Origin: sourcesecret.OriginScanned}}
	g.Expect(noted).To(Equal(want))

	noted = nil
	g.Eventually(func() error {
		_, err := keeper.Ensure(t.Context(), extension, namespace, private(server.URL()), nil, note(nil))
		return err
	}, time.Minute).Should(Succeed())
	g.Expect(noted).To(Equal(want))
	noted = nil
	_, err = keeper.Ensure(t.Context(), extension, namespace, private(server.URL()), nil, note(nil))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(noted).To(BeNil(), "nothing is written")
}

func TestFirstAndSecondTime(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())

	keeper := sourcesecret.NewKeeper(nil)
	first, err := ensure(t, keeper, extension, requests, namespace, private(server.URL()))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(keeper.Stats()).To(Equal(sourcesecret.Stats{KeyPairs: 1, HostKeyScans: 1}))
	g.Expect(requests.take()).To(Equal([]string{"GET", "PATCH"}), "no POST: it can't be allowed for one name only")
	g.Expect(server.Connections()).To(Equal(2), "one for its key, and one that finds no more")
	g.Expect(first.Created).To(BeTrue())
	g.Expect(first.PublicKey()).To(HavePrefix("ssh-ed25519 "))
	g.Expect(first.HostKeys).To(Equal([]sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: server.Fingerprint, Origin: sourcesecret.OriginScanned}}))

	secret := readSecret(t, namespace)
	g.Expect(secret.Type).To(Equal(corev1.SecretTypeOpaque))
	g.Expect(secret.Data).To(Equal(map[string][]byte{
		"identity":     first.SecretRef.Data["identity"],
		"identity.pub": first.SecretRef.Data["identity.pub"],
		"known_hosts":  []byte(server.KnownHosts),
	}))
	signer, err := ssh.ParsePrivateKey(first.SecretRef.Data["identity"])
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(ssh.MarshalAuthorizedKey(signer.PublicKey())).To(Equal(first.SecretRef.Data["identity.pub"]))

	// A restarted extension: nothing but one GET, and the host is not asked again.
	restarted := sourcesecret.NewKeeper(nil)
	second, err := restarted.Ensure(t.Context(), extension, namespace, private(server.URL()), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(restarted.Stats()).To(Equal(sourcesecret.Stats{}))
	g.Expect(requests.take()).To(Equal([]string{"GET"}))
	g.Expect(server.Connections()).To(Equal(2))
	g.Expect(second.Created).To(BeFalse())
	g.Expect(second.SecretRef.Data["identity"]).To(Equal(first.SecretRef.Data["identity"]))
	g.Expect(second.SecretRef.Data["identity.pub"]).To(Equal(first.SecretRef.Data["identity.pub"]))
	g.Expect(second.SecretRef.Data["known_hosts"]).To(Equal([]byte(server.KnownHosts)))
	g.Expect(second.HostKeys).To(Equal([]sourcesecret.HostKey{{Type: "ssh-ed25519", Fingerprint: server.Fingerprint, Origin: sourcesecret.OriginSecret}}))
	g.Expect(readSecret(t, namespace).ResourceVersion).To(Equal(secret.ResourceVersion))
}

// TestRace has writers that have nothing in common, as on several seeds. All of them must have found the
// Secret missing before the first one writes, so they meet before that.
func TestRace(t *testing.T) {
	for _, writers := range []int{2, 8} {
		t.Run(fmt.Sprintf("%d writers", writers), func(t *testing.T) {
			g := NewWithT(t)
			server := sshtest.Start(t)
			namespace := newNamespace(t)
			var done sync.WaitGroup
			meeting := newMeeting(writers)
			results := make([]*sourcesecret.Credentials, writers)
			errs := make([]error, writers)
			for i := range writers {
				var rules []rbacv1.PolicyRule
				if i == 0 {
					rules = append(rules, leastPrivilege())
				}
				extension, requests := newExtension(t, namespace, rules...)
				extension = meeting.attend(t, extension)
				done.Go(func() {
					results[i], errs[i] = ensure(t, sourcesecret.NewKeeper(nil), extension, requests, namespace, private(server.URL()))
				})
			}
			done.Wait()

			secret := readSecret(t, namespace)
			created := 0
			for i := range writers {
				g.Expect(errs[i]).NotTo(HaveOccurred())
				g.Expect(results[i].SecretRef.Data["identity"]).To(Equal(secret.Data["identity"]))
				g.Expect(results[i].SecretRef.Data["identity.pub"]).To(Equal(secret.Data["identity.pub"]))
				g.Expect(results[i].SecretRef.Data["known_hosts"]).To(Equal(secret.Data["known_hosts"]))
				if results[i].Created {
					created++
				}
			}
			g.Expect(created).To(Equal(1), "one key pair is made, the others use it")
		})
	}
}

// TestRaceToComplete is the same for a Secret that the admin made without a key.
func TestRaceToComplete(t *testing.T) {
	g := NewWithT(t)
	const writers = 4
	server := sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege("get", "patch"))
	writeSecret(t, namespace, map[string][]byte{"password": []byte("x")})
	var done sync.WaitGroup
	meeting := newMeeting(writers)
	results := make([]*sourcesecret.Credentials, writers)
	errs := make([]error, writers)
	for i := range writers {
		done.Go(func() {
			results[i], errs[i] = ensure(t, sourcesecret.NewKeeper(nil), meeting.attend(t, extension), requests, namespace, private(server.URL()))
		})
	}
	done.Wait()
	secret := readSecret(t, namespace)
	g.Expect(secret.Data).To(HaveKeyWithValue("password", []byte("x")))
	for i := range writers {
		g.Expect(errs[i]).NotTo(HaveOccurred())
		g.Expect(results[i].SecretRef.Data["identity"]).To(Equal(secret.Data["identity"]))
		g.Expect(results[i].SecretRef.Data["known_hosts"]).To(Equal(secret.Data["known_hosts"]))
	}
}

func TestExistingSecretIsOnlyCompleted(t *testing.T) {
	pair := newPair(t)
	server := sshtest.Start(t)
	for name, tc := range map[string]struct {
		data     map[string][]byte
		requests []string
		asked    int
	}{
		"complete": {
			data:     map[string][]byte{"identity": pair.PrivateKey, "identity.pub": []byte("  " + string(pair.PublicKey)), "known_hosts": []byte(server.KnownHosts)},
			requests: []string{"GET"},
		},
		"no public key": {
			data:     map[string][]byte{"identity": pair.PrivateKey, "known_hosts": []byte("# ours\n" + server.Line())},
			requests: []string{"GET", "PATCH"},
		},
		"only the private key": {
			data:     map[string][]byte{"identity": pair.PrivateKey},
			requests: []string{"GET", "PATCH"},
			asked:    2,
		},
		"known hosts of another host": {
			data:     map[string][]byte{"identity": pair.PrivateKey, "identity.pub": pair.PublicKey, "known_hosts": []byte(strings.Replace(server.Line(), "127.0.0.1", "127.0.0.2", 1))},
			requests: []string{"GET", "PATCH"},
			asked:    2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			namespace := newNamespace(t)
			extension, requests := newExtension(t, namespace, leastPrivilege("get", "patch"))
			// Another type, labels and keys are the admin's.
			tc.data["note"] = []byte("hands off")
			writeSecret(t, namespace, tc.data, func(s *corev1.Secret) {
				s.Type = "example.org/git"
				s.Labels = map[string]string{"team": "blue"}
			})
			before := server.Connections()

			credentials, err := ensure(t, sourcesecret.NewKeeper(nil), extension, requests, namespace, private(server.URL()))
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(requests.take()).To(Equal(tc.requests))
			g.Expect(server.Connections() - before).To(Equal(tc.asked))
			g.Expect(credentials.Created).To(BeFalse())
			g.Expect(credentials.SecretRef.Data["identity"]).To(Equal(pair.PrivateKey))
			g.Expect(credentials.PublicKey() + "\n").To(Equal(string(pair.PublicKey)))
			g.Expect(credentials.SecretRef.Data["known_hosts"]).To(Equal([]byte(server.KnownHosts)), "only the lines of the host")

			secret := readSecret(t, namespace)
			for key, value := range tc.data {
				if key == "known_hosts" {
					g.Expect(string(secret.Data[key])).To(HavePrefix(string(value)))
				} else {
					g.Expect(secret.Data).To(HaveKeyWithValue(key, value))
				}
			}
			g.Expect(secret.Type).To(Equal(corev1.SecretType("example.org/git")))
			g.Expect(secret.Labels).To(Equal(map[string]string{"team": "blue"}))

			again, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(server.URL()), nil)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(requests.take()).To(Equal([]string{"GET"}))
			g.Expect(again.SecretRef.Data["known_hosts"]).To(Equal(credentials.SecretRef.Data["known_hosts"]))
		})
	}
}

func TestHostKeysFollowTheURL(t *testing.T) {
	g := NewWithT(t)
	old, current := sshtest.Start(t), sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	keeper := sourcesecret.NewKeeper(nil)

	before, err := ensure(t, keeper, extension, requests, namespace, private(old.URL()))
	g.Expect(err).NotTo(HaveOccurred())
	after, err := ensure(t, keeper, extension, requests, namespace, private(current.URL()))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(after.SecretRef.Data["identity"]).To(Equal(before.SecretRef.Data["identity"]))
	g.Expect(after.SecretRef.Data["known_hosts"]).To(Equal([]byte(current.KnownHosts)), "the port tells the servers apart")
	g.Expect(readSecret(t, namespace).Data["known_hosts"]).To(Equal([]byte(old.KnownHosts + current.KnownHosts)))
}

func TestConfiguredKnownHosts(t *testing.T) {
	g := NewWithT(t)
	server, other := sshtest.Start(t), sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	repository := private(server.URL())
	wrong := strings.Replace(other.KnownHosts, other.HostPort[len("127.0.0.1:"):], server.HostPort[len("127.0.0.1:"):], 1)

	// What is configured counts without asking the host, for whom it is configured: nobody else of the project gets it by the Secret.
	for n, configured := range []string{wrong, server.KnownHosts, wrong} {
		repository.KnownHosts = configured + other.KnownHosts
		credentials, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, repository, nil)
		g.Expect(err).NotTo(HaveOccurred())
		if n == 0 { // the key pair
			g.Expect(requests.take()).To(Equal([]string{"GET", "PATCH"}))
		} else {
			g.Expect(requests.take()).To(Equal([]string{"GET"}))
		}
		g.Expect(credentials.SecretRef.Data["known_hosts"]).To(Equal([]byte(configured)))
		g.Expect(credentials.HostKeys).To(HaveLen(1))
		g.Expect(credentials.HostKeys[0].Origin).To(Equal(sourcesecret.OriginConfigured))
		g.Expect(readSecret(t, namespace).Data).NotTo(HaveKey("known_hosts"))
	}

	// Who configures nothing gets what the host says, which stays although others configure something else.
	credentials, err := ensure(t, sourcesecret.NewKeeper(nil), extension, requests, namespace, private(server.URL()))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(credentials.SecretRef.Data["known_hosts"]).To(Equal([]byte(server.KnownHosts)))
	_, err = sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, repository, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(readSecret(t, namespace).Data["known_hosts"]).To(Equal([]byte(server.KnownHosts)))
}

func TestWellKnownForge(t *testing.T) {
	g := NewWithT(t)
	namespace := newNamespace(t)
	extension, _ := newExtension(t, namespace, leastPrivilege())
	credentials, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private("ssh://git@github.com/owner/repo"), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(credentials.HostKeys).To(HaveLen(3))
	g.Expect(credentials.HostKeys[0]).To(Equal(sourcesecret.HostKey{
		Type: "ssh-ed25519", Fingerprint: "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU", Origin: sourcesecret.OriginPublished}))
	g.Expect(readSecret(t, namespace).Data["known_hosts"]).To(Equal(credentials.SecretRef.Data["known_hosts"]))
}

func TestImmutableButComplete(t *testing.T) {
	g := NewWithT(t)
	pair, server := newPair(t), sshtest.Start(t)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	writeSecret(t, namespace, map[string][]byte{"identity": pair.PrivateKey, "identity.pub": pair.PublicKey},
		func(s *corev1.Secret) { s.Immutable = new(true) })
	repository := private(server.URL())
	repository.KnownHosts = server.KnownHosts
	credentials, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, repository, nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(requests.take()).To(Equal([]string{"GET"}))
	g.Expect(credentials.SecretRef.Data["known_hosts"]).To(Equal([]byte(server.KnownHosts)))
}

func TestProblemsOfTheSecret(t *testing.T) {
	pair, other := newPair(t), newPair(t)
	for name, tc := range map[string]struct {
		data   map[string][]byte
		change func(*corev1.Secret)
		want   string
	}{
		"no private key": {
			data: map[string][]byte{"identity": []byte("hunter2")},
			want: "key identity is not an SSH private key: write one as ssh-keygen makes it, or remove identity and identity.pub and a new pair is made",
		},
		"public key of another pair": {
			data: map[string][]byte{"identity": pair.PrivateKey, "identity.pub": other.PublicKey},
			want: "key identity.pub does not belong to key identity: remove the wrong one of the two; a missing identity.pub is derived from identity",
		},
		"public key without private key": {
			data: map[string][]byte{"identity.pub": pair.PublicKey},
			want: "key identity.pub is there, but not the private key identity: add it, or remove identity.pub and a new pair is made",
		},
		"immutable and incomplete": {
			data:   map[string][]byte{"identity": pair.PrivateKey},
			change: func(s *corev1.Secret) { s.Immutable = new(true) },
			want:   "it is immutable, and identity.pub, known_hosts must be written: create it again with the same keys and without immutable: true",
		},
		"being deleted": {
			data:   map[string][]byte{"identity": pair.PrivateKey},
			change: func(s *corev1.Secret) { s.Finalizers = []string{"example.org/wait"} },
			want:   "it is being deleted: once it is gone, a new key pair is made, whose public key must be registered at the Git server",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			namespace := newNamespace(t)
			extension, requests := newExtension(t, namespace, leastPrivilege())
			change := tc.change
			if change == nil {
				change = func(*corev1.Secret) {}
			}
			secret := writeSecret(t, namespace, tc.data, change)
			if len(secret.Finalizers) > 0 {
				g.Expect(admin.Delete(t.Context(), secret)).To(Succeed())
			}
			_, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private("ssh://git@github.com/owner/repo"), nil)
			g.Expect(err).To(MatchError("secret " + namespace + "/flux-source in the garden: " + tc.want))
			g.Expect(requests.take()).To(Equal([]string{"GET"}))
			g.Expect(readSecret(t, namespace).Data).To(Equal(tc.data), "nothing was overwritten")
		})
	}
}

func TestHostDoesNotAnswer(t *testing.T) {
	g := NewWithT(t)
	port, err := process.FreePort()
	g.Expect(err).NotTo(HaveOccurred())
	hostPort := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())

	_, err = ensure(t, sourcesecret.NewKeeper(nil), extension, requests, namespace, private("ssh://git@"+hostPort+"/repo"))
	g.Expect(err).To(MatchError("secret " + namespace + "/flux-source in the garden: could not ask " + hostPort + " for its SSH host key: " +
		"dial tcp " + hostPort + ": connect: connection refused; check key repositoryUrl of ConfigMap flux-config and whether the seed reaches the host, " +
		"or write the host's known_hosts lines into key knownHosts of ConfigMap flux-config"))
	g.Expect(requests.take()).To(Equal([]string{"GET"}), "no key pair is made for a host that may be a typo")
}

func TestMissingPermissions(t *testing.T) {
	for name, tc := range map[string]struct {
		verbs  []string
		exists bool
		want   string
	}{
		"get":    {verbs: []string{"patch"}, want: "the extension may not read it: allow it to get secrets named flux-source in the garden: "},
		"create": {verbs: []string{"get", "patch"}, want: "the extension may not create it: allow it to create and patch secrets named flux-source in the garden: "},
		"patch":  {verbs: []string{"get", "create"}, exists: true, want: "the extension may not complete it: allow it to patch secrets named flux-source in the garden: "},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			namespace := newNamespace(t)
			extension, _ := newExtension(t, namespace, leastPrivilege(tc.verbs...))
			if tc.exists {
				writeSecret(t, namespace, map[string][]byte{"identity": newPair(t).PrivateKey})
			}
			_, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private("ssh://git@github.com/owner/repo"), nil)
			g.Expect(err).To(MatchError(HavePrefix("secret " + namespace + "/flux-source in the garden: " + tc.want)))
			g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "the reason stays recognisable")
		})
	}
}

func TestMissingNamespace(t *testing.T) {
	g := NewWithT(t)
	_, err := sourcesecret.NewKeeper(noHost).Ensure(t.Context(), admin, "garden-gone", private("ssh://git@github.com/owner/repo"), nil)
	g.Expect(err).To(MatchError(`secret garden-gone/flux-source in the garden: could not create it: namespaces "garden-gone" not found`))
}

func TestCancelled(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := sourcesecret.NewKeeper(noHost).Ensure(ctx, admin, newNamespace(t), private("ssh://git@github.com/owner/repo"), nil)
	g.Expect(err).To(MatchError(context.Canceled))
}

// TestProjectIsBeingDeleted does not blame a right that is there.
func TestProjectIsBeingDeleted(t *testing.T) {
	g := NewWithT(t)
	namespace := newNamespace(t)
	extension, _ := newExtension(t, namespace, leastPrivilege())
	g.Expect(admin.Delete(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})).To(Succeed()) // and nobody finishes that
	var err error
	g.Eventually(func() error { // the API server's cache knows it a moment later
		_ = admin.Delete(t.Context(), &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "flux-source"}})
		_, err = sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private("ssh://git@github.com/organisation/repository"), nil)
		return err
	}, time.Minute).Should(HaveOccurred())
	g.Expect(err).To(MatchError(And(HavePrefix("secret "+namespace+"/flux-source in the garden: could not create it: "), HaveSuffix("because it is being terminated"))))
}
