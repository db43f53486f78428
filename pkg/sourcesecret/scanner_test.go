// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
	sshknownhosts "golang.org/x/crypto/ssh/knownhosts"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret/sshtest"
)

func direct(ctx context.Context, network, address string) (net.Conn, error) {
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// newKeys makes host keys of all types that a server can have, in the order in which they are preferred.
func newKeys(t *testing.T) []ssh.Signer {
	t.Helper()
	keys := []ssh.Signer{sshtest.NewKey(t)}
	for _, curve := range []elliptic.Curve{elliptic.P256(), elliptic.P384(), elliptic.P521()} {
		private, err := ecdsa.GenerateKey(curve, rand.Reader)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		keys = append(keys, newSigner(t, private))
	}
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return append(keys, newSigner(t, private))
}

func newSigner(t *testing.T, private crypto.Signer) ssh.Signer {
	t.Helper()
	signer, err := ssh.NewSignerFromSigner(private)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return signer
}

// linesOf are what known_hosts should say of a server with these keys.
func linesOf(hostPort string, keys ...ssh.Signer) string {
	text := ""
	for _, key := range keys {
		text += sshknownhosts.Line([]string{hostPort}, key.PublicKey()) + "\n"
	}
	return text
}

// TestScanFindsKeysOfAllTypes: releases of Flux that don't restrict themselves to the types in known_hosts meet the type that they
// themselves prefer.
func TestScanFindsKeysOfAllTypes(t *testing.T) {
	keys := newKeys(t)
	for name, test := range map[string]struct{ has, want []ssh.Signer }{
		"all":              {has: keys, want: keys},
		"in another order": {has: []ssh.Signer{keys[4], keys[1], keys[0]}, want: []ssh.Signer{keys[0], keys[1], keys[4]}},
		"one":              {has: keys[2:3], want: keys[2:3]},
		"only RSA":         {has: keys[4:], want: keys[4:]},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := sshtest.Start(t, test.has...)
			lines, err := newScanner(direct).scan(t.Context(), server.HostPort)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(lines.String()).To(Equal(linesOf(server.HostPort, test.want...)), "and the port is kept")
			g.Expect(lines.String()).To(HavePrefix("[127.0.0.1]:"))
			g.Expect(server.Connections()).To(BeNumerically("<=", len(test.want)+1))
			g.Expect(server.Logins()).To(BeZero(), "only the host keys are asked for")
		})
	}
}

// TestScanOfAServerThatStopsAnswering has one that lets somebody connect only so often.
func TestScanOfAServerThatStopsAnswering(t *testing.T) {
	g := NewWithT(t)
	keys := newKeys(t)
	server := sshtest.Start(t, keys...)
	dials := 0
	lines, err := newScanner(func(ctx context.Context, network, address string) (net.Conn, error) {
		if dials++; dials > 2 {
			return nil, errors.New("too many connections")
		}
		return direct(ctx, network, address)
	}).scan(t.Context(), server.HostPort)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lines.String()).To(Equal(linesOf(server.HostPort, keys[:2]...)))
}

// TestScanRevokedKey has one of several keys revoked: who presents it is not trusted by the others either.
func TestScanRevokedKey(t *testing.T) {
	g := NewWithT(t)
	keys := newKeys(t)
	server := sshtest.Start(t, keys...)
	stored, errs := knownhosts.Parse("@revoked * " + string(ssh.MarshalAuthorizedKey(keys[1].PublicKey())))
	g.Expect(errs).To(BeEmpty())
	repository := &fluxv1alpha1.Repository{URL: server.URL(), Type: fluxv1alpha1.RepositoryPrivate}
	_, err := findEventually(g, newScanner(direct), repository, project.Origins{project.FieldURL: project.OriginShoot}, stored)
	g.Expect(err).To(MatchError(server.HostPort + " presents the host key " + ssh.FingerprintSHA256(keys[1].PublicKey()) +
		", which key known_hosts revokes: find out why, and write the right key into repository.knownHosts in the providerConfig of the shoot"))
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

// newSilentServer accepts connections and says nothing.
func newSilentServer(t *testing.T) (hostPort string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	return listener.Addr().String()
}

func TestScanSilentServer(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	dial := func(_ context.Context, network, address string) (net.Conn, error) {
		return direct(t.Context(), network, address) // however long it takes to connect
	}
	_, err := newScanner(dial).scan(ctx, newSilentServer(t))
	g.Expect(err).To(MatchError("no SSH server answered: context deadline exceeded"))
}
