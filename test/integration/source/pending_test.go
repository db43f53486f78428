// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	fluxssh "github.com/fluxcd/pkg/ssh"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret/sshtest"
)

// ensure asks again as long as the Git server is being asked, as Gardener does. Only the requests of the last try are noted.
func ensure(t *testing.T, keeper *sourcesecret.Keeper, extension client.Client, noted *requests, namespace string, repository *fluxv1alpha1.Repository) (credentials *sourcesecret.Credentials, err error) {
	t.Helper()
	NewWithT(t).Eventually(func() bool {
		noted.take()
		credentials, err = keeper.Ensure(t.Context(), extension, namespace, repository, nil)
		return errors.Is(err, sourcesecret.ErrPending)
	}, time.Minute, 10*time.Millisecond).Should(BeFalse())
	return credentials, err
}

// meeting lets writers wait for each other before they write for the first time, so that all of them have found the same.
type meeting struct {
	mutex    sync.Mutex
	expected int
	complete chan struct{}
}

func newMeeting(writers int) *meeting {
	return &meeting{expected: writers, complete: make(chan struct{})}
}

// attend returns a client that waits for the others.
func (m *meeting) attend(t *testing.T, extension client.Client) client.Client {
	t.Helper()
	withWatch, err := client.NewWithWatch(apiServer.Config, client.Options{})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	wait := sync.OnceFunc(func() {
		m.mutex.Lock()
		if m.expected--; m.expected == 0 {
			close(m.complete)
		}
		m.mutex.Unlock()
		select {
		case <-m.complete:
		case <-t.Context().Done():
		}
	})
	return interceptor.NewClient(withWatch, interceptor.Funcs{
		Get: func(ctx context.Context, _ client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			return extension.Get(ctx, key, object, options...)
		},
		Apply: func(ctx context.Context, _ client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			wait()
			return extension.Apply(ctx, object, options...)
		},
		Patch: func(ctx context.Context, _ client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			wait()
			return extension.Patch(ctx, object, patch, options...)
		},
	})
}

// TestSilentServer has one that does not answer as long as the test lasts, as behind many a firewall: neither the project's other shoots nor another
// project wait for it.
func TestSilentServer(t *testing.T) {
	g := NewWithT(t)
	const silent = "git.example.org:22"
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == silent {
			<-t.Context().Done()
			return nil, t.Context().Err()
		}
		return (&net.Dialer{}).DialContext(ctx, network, address)
	}
	namespace, other := newNamespace(t), newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())
	keeper := sourcesecret.NewKeeper(dial)

	foreign, noted := newExtension(t, other, leastPrivilege())

	const often = 20
	expectPending := func() {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		_, err := keeper.Ensure(ctx, extension, namespace, private("ssh://git@"+silent+"/repo"), nil)
		g.Expect(err).To(MatchError(sourcesecret.ErrPending))
		g.Expect(err).To(MatchError("secret " + namespace + "/flux-source in the garden: waiting for the SSH host keys of " + silent +
			": the Git server is asked in the background, and Gardener asks for them again by itself"))
	}
	for range often {
		expectPending()
	}
	g.Expect(requests.take()).To(HaveLen(often), "nothing is written")
	_, err := ensure(t, keeper, foreign, noted, other, private(sshtest.Start(t).URL()))
	g.Expect(err).NotTo(HaveOccurred())
	expectPending()
}

// TestKeysOfAllTypesAreKept: also if one of them was kept before, the Secret is the admin's to change.
func TestKeysOfAllTypesAreKept(t *testing.T) {
	g := NewWithT(t)
	pair, err := fluxssh.GenerateKeyPair(fluxssh.ECDSA_P256)
	g.Expect(err).NotTo(HaveOccurred())
	ecdsaKey, err := ssh.ParsePrivateKey(pair.PrivateKey)
	g.Expect(err).NotTo(HaveOccurred())
	server := sshtest.Start(t, sshtest.NewKey(t), ecdsaKey)
	namespace := newNamespace(t)
	extension, requests := newExtension(t, namespace, leastPrivilege())

	credentials, err := ensure(t, sourcesecret.NewKeeper(nil), extension, requests, namespace, private(server.URL()))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(credentials.HostKeys).To(Equal([]sourcesecret.HostKey{
		{Type: "ssh-ed25519", Fingerprint: server.Fingerprint, Origin: sourcesecret.OriginScanned},
		{Type: "ecdsa-sha2-nistp256", Fingerprint: ssh.FingerprintSHA256(ecdsaKey.PublicKey()), Origin: sourcesecret.OriginScanned},
	}))
	kept := readSecret(t, namespace).Data["known_hosts"]
	g.Expect(string(kept)).To(HavePrefix(server.KnownHosts))
	g.Expect(credentials.SecretRef.Data["known_hosts"]).To(Equal(kept))

	// What was kept before of one type only stays the only one that is trusted.
	secret := readSecret(t, namespace)
	secret.Data["known_hosts"] = []byte(server.KnownHosts)
	g.Expect(admin.Update(t.Context(), secret)).To(Succeed())
	credentials, err = sourcesecret.NewKeeper(noHost).Ensure(t.Context(), extension, namespace, private(server.URL()), nil)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(credentials.SecretRef.Data["known_hosts"]).To(BeEquivalentTo(server.KnownHosts))
	g.Expect(readSecret(t, namespace).Data["known_hosts"]).To(BeEquivalentTo(server.KnownHosts))
}
