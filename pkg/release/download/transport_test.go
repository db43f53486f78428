// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package download

import (
	"crypto/x509"
	"encoding/pem"
	"net/http"
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

	caFile := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	g.Expect(os.WriteFile(caFile, certificate, 0o600)).To(Succeed())
	withCA, err := NewTransport(caFile, Limits{})
	g.Expect(err).NotTo(HaveOccurred())
	next := withCA.(*transport).next.(*http.Transport)
	system, err := NewTransport("", Limits{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(system.(*transport).next.(*http.Transport).TLSClientConfig).To(Or(BeNil(), HaveField("RootCAs", BeNil())), "no CA file, no pool of our own")
	g.Expect(next.Proxy).NotTo(BeNil())
	_, err = server.Certificate().Verify(x509.VerifyOptions{Roots: next.TLSClientConfig.RootCAs})
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
			_, err := NewTransport(path, Limits{})
			NewWithT(t).Expect(err).To(MatchError(sentence))
		})
	}
}
