// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source/sshtest"
)

func direct(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

func TestScan(t *testing.T) {
	g := NewWithT(t)
	ed25519Key := sshtest.NewKey(t)
	ecdsaPrivate, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	ecdsaKey, err := ssh.NewSignerFromKey(ecdsaPrivate)
	g.Expect(err).NotTo(HaveOccurred())

	both := sshtest.Start(t, ed25519Key, ecdsaKey)
	line, err := newScanner(direct).scan(t.Context(), both.HostPort)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(line.String()).To(Equal(both.Line()), "Ed25519 is preferred, and the port is kept")
	g.Expect(line.String()).To(HavePrefix("[127.0.0.1]:"))

	one := sshtest.Start(t, ecdsaKey)
	line, err = newScanner(direct).scan(t.Context(), one.HostPort)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(line.String()).To(Equal(one.Line()))
	g.Expect(line.KeyType()).To(Equal("ecdsa-sha2-nistp256"))
	g.Expect(line.Fingerprint()).To(Equal(one.Fingerprint))
	g.Expect(one.Logins()+both.Logins()).To(BeZero(), "only the host key is asked for")
}

func TestScanRevokedKey(t *testing.T) {
	g := NewWithT(t)
	key := sshtest.NewKey(t)
	server := sshtest.Start(t, key)
	stored, errs := knownhosts.Parse("@revoked * " + string(ssh.MarshalAuthorizedKey(key.PublicKey())))
	g.Expect(errs).To(BeEmpty())
	_, err := findHostKeys(t.Context(), newScanner(direct), &project.Repository{URL: server.URL(), Private: true}, stored)
	g.Expect(err).To(MatchError(server.HostPort + " presents the host key " + server.Fingerprint +
		", which key known_hosts revokes: find out why, and write the right key into key knownHosts of ConfigMap flux-config"))
}

// TestScanNoSSH has a server that says something else, with a control character in it.
func TestScanNoSSH(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("HTTP/1.1 400 Bad Request\x1b[31m\r\n\r\n"))
			_ = conn.Close()
		}
	}()
	_, err = newScanner(direct).scan(t.Context(), listener.Addr().String())
	g.Expect(err).To(MatchError(HavePrefix(`no SSH server answered as expected: "ssh: `)))
	g.Expect(err.Error()).NotTo(ContainSubstring("\x1b"))
}

// TestScanSilentServer has a server that accepts the connection and says nothing.
func TestScanSilentServer(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	ctx, cancel := context.WithCancel(t.Context())
	scanner := newScanner(func(ctx context.Context, network, address string) (net.Conn, error) {
		defer cancel()
		return direct(ctx, network, address)
	})
	_, err = scanner.scan(ctx, listener.Addr().String())
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(scanner.failures).To(BeEmpty(), "the server is not to blame")
}

func TestScanAsksADeadServerOncePerMinute(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	now := clocktesting.NewFakePassiveClock(time.Now())
	dials, alive := 0, false
	scanner := newScanner(func(ctx context.Context, network, address string) (net.Conn, error) {
		dials++
		if !alive {
			return nil, &net.OpError{Op: "dial", Net: network, Err: context.DeadlineExceeded}
		}
		return direct(ctx, network, address)
	})
	scanner.clock = now

	for range 3 {
		_, err := scanner.scan(t.Context(), server.HostPort)
		g.Expect(err).To(MatchError(context.DeadlineExceeded))
	}
	g.Expect(dials).To(Equal(1))
	_, err := scanner.scan(t.Context(), "192.0.2.1:22")
	g.Expect(err).To(HaveOccurred())
	g.Expect(dials).To(Equal(2), "another server is asked")
	g.Expect((&Keeper{scanner: scanner}).Stats()).To(Equal(Stats{HostKeyScans: 2, FailedHostKeyScans: 2}))

	alive = true
	now.SetTime(now.Now().Add(failureLifetime))
	_, err = scanner.scan(t.Context(), server.HostPort)
	g.Expect(err).NotTo(HaveOccurred())
}
