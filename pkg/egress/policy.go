// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package egress restricts the connections that the extension opens to hosts that project admins choose: a host key is
// asked from inside the seed, where more can be reached than from outside.
package egress

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
)

// alwaysDenied are networks that are not the outside, whatever the seed looks like.
var alwaysDenied = []netip.Prefix{
	netip.MustParsePrefix("0.0.0.0/8"), netip.MustParsePrefix("::/128"), // unspecified, RFC 1122 and RFC 4291
	netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128"), // loopback
	netip.MustParsePrefix("169.254.0.0/16"), netip.MustParsePrefix("fe80::/10"), // link-local, with the metadata services of clouds
	netip.MustParsePrefix("224.0.0.0/4"), netip.MustParsePrefix("ff00::/8"), // multicast
	netip.MustParsePrefix("255.255.255.255/32"), // broadcast
}

// errDenied has no address: what a name of the seed's own DNS stands for is nobody's business.
var errDenied = errors.New("the operator of Gardener does not let the seed connect to the host's network for this")

// Policy says to which networks connections may be opened: to all but the denied ones, to which the loopback, link-local,
// unspecified, multicast and broadcast addresses always belong, and to the allowed ones even if they are denied.
type Policy struct {
	Allow []netip.Prefix
	Deny  []netip.Prefix
}

// Dial opens a connection as net.Dialer's DialContext does. Each address is checked when it is connected to, after the
// name has been resolved, so that a name can't stand for one address when it is checked and for another one afterwards.
func (p Policy) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	dialer := net.Dialer{ControlContext: func(_ context.Context, _, address string, _ syscall.RawConn) error { return p.check(address) }}
	conn, err := dialer.DialContext(ctx, network, address)
	if errors.Is(err, errDenied) {
		return nil, errDenied
	}
	return conn, err
}

// Refuse is the Dial of an operator who wants no such connections at all.
func Refuse(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("the operator of Gardener has switched this off")
}

func (p Policy) check(address string) error {
	parsed, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("%q is not an address: %w", address, err)
	}
	ip := parsed.Addr().Unmap().WithZone("")
	if contains(p.Allow, ip) || !contains(p.Deny, ip) && !contains(alwaysDenied, ip) {
		return nil
	}
	return errDenied
}

func contains(networks []netip.Prefix, ip netip.Addr) bool {
	for _, network := range networks {
		if network.Contains(ip) {
			return true
		}
	}
	return false
}
