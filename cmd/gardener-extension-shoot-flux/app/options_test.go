// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"
)

// What is logged at the start says how the extension runs, and no password of a URL.
func TestDescribe(t *testing.T) {
	g := NewWithT(t)
	options := newOptions()
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	options.addFlags(flags)
	g.Expect(flags.Parse([]string{
		"--flux-releases-url=https://user:secret@releases.example.org", "--lifecycle-max-concurrent-reconciles=7", "--kubeconfig=testdata/none", "--heartbeat-namespace=extension",
	})).To(Succeed())
	g.Expect(options.releases.complete()).To(Succeed())
	g.Expect(options.lifecycle.Complete()).To(Succeed())
	g.Expect(options.general.Complete()).To(Succeed())

	t.Setenv("GARDEN_KUBECONFIG", "")
	g.Expect(options.describe()).To(ContainElements("version", "kubeconfig of gardenlet", 7, options.releases.catalogue.Embedded()))
	g.Expect(fmt.Sprint(options.describe()...)).NotTo(ContainSubstring("secret"))
	t.Setenv("GARDEN_KUBECONFIG", "/var/run/garden/kubeconfig")
	g.Expect(options.describe()).To(ContainElement("kubeconfig file"))
}
