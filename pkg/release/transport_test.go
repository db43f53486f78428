// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"crypto/x509"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
)

func TestCAFileAddsToTheSystem(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewTLSServer(nil)
	t.Cleanup(server.Close)

	transport, err := newTransport(caFile(t, server))
	g.Expect(err).NotTo(HaveOccurred())
	system, err := newTransport("")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(system.TLSClientConfig).To(Or(BeNil(), HaveField("RootCAs", BeNil())), "no CA file, no pool of our own")
	g.Expect(transport.Proxy).NotTo(BeNil())
	_, err = server.Certificate().Verify(x509.VerifyOptions{Roots: transport.TLSClientConfig.RootCAs})
	g.Expect(err).NotTo(HaveOccurred())
}

func TestCAFileIsUnusable(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.crt")
	key := filepath.Join(t.TempDir(), "tls.key")
	NewWithT(t).Expect(os.WriteFile(key, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600)).To(Succeed())
	for path, sentence := range map[string]string{
		missing: "the CA file for the Flux releases can't be read: open " + missing + ": no such file or directory",
		key: "the CA file for the Flux releases has no certificate: " + key +
			" must have at least one that begins with -----BEGIN CERTIFICATE-----",
	} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			_, err := NewCatalogue(Options{CAFile: path})
			NewWithT(t).Expect(err).To(MatchError(sentence))
		})
	}
}
