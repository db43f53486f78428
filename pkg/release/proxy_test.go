// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
)

// TestProxyFromEnvironment runs itself a second time, because a process reads the proxy variables only once.
func TestProxyFromEnvironment(t *testing.T) {
	g := NewWithT(t)
	const child = "TEST_BEHIND_PROXY"
	if os.Getenv(child) != "" {
		catalogue, err := NewCatalogue(Options{BaseURL: "http://releases.invalid", TempDir: t.TempDir(), WaitLimit: time.Hour})
		g.Expect(err).NotTo(HaveOccurred())
		choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(choice).To(Equal(&fluxversion.Choice{Version: testVersion}))
		return
	}

	proxy := newReleaseServer(t, (*httptest.Server).Start)
	command := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyFromEnvironment$")
	command.Env = append(os.Environ(), child+"=true", "HTTP_PROXY="+proxy.URL, "NO_PROXY=")
	output, err := command.CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	g.Expect(proxy.seen()).To(Equal([]string{"HEAD /latest", "GET " + checksumsPath, "GET " + tarballPath}))
}
