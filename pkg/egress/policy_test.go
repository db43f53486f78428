// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package egress_test

import (
	"net"
	"net/netip"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/egress"
)

const denied = "the operator of Gardener does not let the seed connect to the host's network for this"

// All of these would reach the listener, if they were let.
func TestDialHereIsDenied(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	g.Expect(err).NotTo(HaveOccurred())

	for _, host := range []string{"127.0.0.1", "localhost", "0.0.0.0", "::ffff:127.0.0.1"} {
		t.Run(host, func(t *testing.T) {
			g := NewWithT(t)
			address := net.JoinHostPort(host, port)
			_, err := egress.Policy{}.Dial(t.Context(), "tcp", address)
			g.Expect(err).To(MatchError(denied))

			conn, err := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("0.0.0.0/32")}}.Dial(t.Context(), "tcp", address)
			g.Expect(err).NotTo(HaveOccurred(), "the operator allows it")
			g.Expect(conn.Close()).To(Succeed())
		})
	}
}

func TestDeniedNetworks(t *testing.T) {
	seed := egress.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("100.64.0.0/13"), netip.MustParsePrefix("2001:db8:1::/48")}}
	for _, address := range []string{
		"127.8.8.8:22", "[::1]:22", "169.254.169.254:80", "[fe80::1%25]:22", "0.0.0.0:22", "[::]:22", "224.0.0.1:22", "[ff02::1]:22", "255.255.255.255:22",
		"100.64.0.1:443", "[2001:db8:1::1]:22", "[::ffff:100.64.0.1]:22", "[::ffff:169.254.169.254]:80",
	} {
		t.Run(address, func(t *testing.T) {
			_, err := seed.Dial(t.Context(), "tcp", address)
			NewWithT(t).Expect(err).To(MatchError(denied))
		})
	}
}

// A denied network can have an allowed host, such as a Git server beside the seed.
func TestAllowedHostOfADeniedNetwork(t *testing.T) {
	g := NewWithT(t)
	listener, err := net.Listen("tcp", "127.0.0.2:0")
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	policy := egress.Policy{Deny: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.2/32")}}
	conn, err := policy.Dial(t.Context(), "tcp", listener.Addr().String())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(conn.Close()).To(Succeed())
	_, err = policy.Dial(t.Context(), "tcp", "127.0.0.3:22")
	g.Expect(err).To(MatchError(denied))
}

func TestOtherErrorsStay(t *testing.T) {
	g := NewWithT(t)
	_, err := egress.Policy{Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}.Dial(t.Context(), "tcp", "127.0.0.1:1")
	g.Expect(err).To(MatchError(ContainSubstring("connection refused")))
	_, err = egress.Refuse(t.Context(), "tcp", "127.0.0.1:1")
	g.Expect(err).To(MatchError("the operator of Gardener has switched this off"))
}
