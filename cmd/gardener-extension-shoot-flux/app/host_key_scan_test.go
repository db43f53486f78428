// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"testing"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"
)

func TestHostKeyScan(t *testing.T) {
	const denied = "the operator of Gardener does not let the seed connect to the host's network for this"
	for name, tc := range map[string]struct {
		args  []string
		error string
	}{
		"by default, not here":       {nil, denied},
		"another network is allowed": {[]string{"--host-key-scan-allow-networks=10.0.0.0/8,2001:db8::/32"}, denied},
		"allowed":                    {[]string{"--host-key-scan-deny-networks=127.0.0.0/8", "--host-key-scan-allow-networks=127.0.0.1/32"}, "connect: connection refused"},
		"switched off":               {[]string{"--host-key-scan=false", "--host-key-scan-allow-networks=127.0.0.1/32"}, "the operator of Gardener has switched this off"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scan, flags := &hostKeyScan{}, pflag.NewFlagSet("", pflag.ContinueOnError)
			scan.addFlags(flags)
			g.Expect(flags.Parse(tc.args)).To(Succeed())
			g.Expect(scan.complete()).To(Succeed())
			_, err := scan.dial()(t.Context(), "tcp", "127.0.0.1:1")
			g.Expect(err).To(MatchError(HaveSuffix(tc.error)))
		})
	}
}

func TestHostKeyScanNetworks(t *testing.T) {
	for _, flag := range []string{"host-key-scan-deny-networks", "host-key-scan-allow-networks"} {
		g := NewWithT(t)
		options := newOptions()
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		options.addFlags(flags)
		g.Expect(flags.Parse([]string{"--" + flag + "=10.0.0.0/8,10.0.0.1", "--kubeconfig=/nobody/writes/this"})).To(Succeed())
		g.Expect(options.hostKeyScan.complete()).To(MatchError("--" + flag + `: "10.0.0.1" is not a network such as 10.0.0.0/8 or 2001:db8::/32`))
	}
}
