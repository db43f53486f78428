// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"net/netip"

	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/egress"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// hostKeyScan says which Git servers may be asked for their host keys.
type hostKeyScan struct {
	enabled     bool
	deny, allow []string

	policy egress.Policy
}

func (s *hostKeyScan) addFlags(flags *pflag.FlagSet) {
	flags.BoolVar(&s.enabled, "host-key-scan", true,
		"Whether a Git server whose host keys are not known otherwise is asked for them, from the seed.")
	flags.StringSliceVar(&s.deny, "host-key-scan-deny-networks", nil,
		"Networks such as 10.0.0.0/8 in which no Git server is asked, besides loopback, link-local, unspecified and multicast addresses.")
	flags.StringSliceVar(&s.allow, "host-key-scan-allow-networks", nil,
		"Networks such as 10.1.2.3/32 in which Git servers are asked although the addresses are denied.")
}

func (s *hostKeyScan) complete() error {
	var err error
	if s.policy.Deny, err = parseNetworks("host-key-scan-deny-networks", s.deny); err != nil {
		return err
	}
	s.policy.Allow, err = parseNetworks("host-key-scan-allow-networks", s.allow)
	return err
}

func parseNetworks(flag string, values []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	for _, value := range values {
		network, err := netip.ParsePrefix(value)
		if err != nil {
			return nil, fmt.Errorf("--%s: %q is not a network such as 10.0.0.0/8 or 2001:db8::/32", flag, value)
		}
		networks = append(networks, network)
	}
	return networks, nil
}

func (s *hostKeyScan) dial() sourcesecret.Dial {
	if !s.enabled {
		return egress.Refuse
	}
	return s.policy.Dial
}
