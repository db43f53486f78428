// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
)

func parseReleases(g Gomega, args ...string) *releases {
	r, flags := &releases{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	r.addFlags(flags)
	g.Expect(flags.Parse(args)).To(Succeed())
	return r
}

func TestReleasesByDefault(t *testing.T) {
	g := NewWithT(t)
	r := parseReleases(g)
	g.Expect(r.options).To(Equal(release.Options{BaseURL: "https://github.com/fluxcd/flux2/releases", OCIRepository: "ghcr.io/fluxcd/flux-manifests"}))
	g.Expect(r.complete()).To(Succeed())
	g.Expect(r.catalogue.Embedded()).NotTo(BeEmpty())
}

// Every source that is named is asked, and named in the error.
func TestReleasesFromEverywhere(t *testing.T) {
	g := NewWithT(t)
	registry, server := httptest.NewServer(http.NotFoundHandler()), httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(registry.Close)
	t.Cleanup(server.Close)
	dir, repository := t.TempDir(), registry.Listener.Addr().String()+"/flux-manifests"

	r := parseReleases(g, "--flux-releases-directory="+dir, "--flux-releases-oci-repository="+repository, "--flux-releases-url="+server.URL)
	r.options.WaitLimit = time.Hour
	g.Expect(r.complete()).To(Succeed())
	_, err := r.catalogue.Get(t.Context(), "v9.9.9")
	g.Expect(err).To(MatchError(And(ContainSubstring(dir+"/v9.9.9/"), ContainSubstring(repository+":v9.9.9"), ContainSubstring(server.URL+"/download/v9.9.9/"))))

	r = parseReleases(g, "--flux-releases-oci-repository=", "--flux-releases-url="+server.URL)
	r.options.WaitLimit = time.Hour
	g.Expect(r.complete()).To(Succeed())
	_, err = r.catalogue.Get(t.Context(), "v9.9.9")
	g.Expect(err).To(MatchError(And(Not(ContainSubstring("flux-manifests")), ContainSubstring(server.URL+"/download/v9.9.9/"))))
}

func TestReleasesFromWrongPlaces(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing")
	empty := filepath.Join(t.TempDir(), "ca.crt")
	NewWithT(t).Expect(os.WriteFile(empty, nil, 0o600)).To(Succeed())
	for flag, sentence := range map[string]string{
		"--flux-releases-directory=" + missing:           "the directory of Flux releases can't be used: stat " + missing,
		"--flux-releases-oci-repository=ghcr.io/flux:v2": `the OCI repository of the Flux releases must look like ghcr.io/fluxcd/flux-manifests, without tag, but is "ghcr.io/flux:v2"`,
		"--flux-releases-url=example.org":                "the base URL of the Flux releases must look like https://host/path",
		"--flux-releases-ca-file=" + missing:             "the CA file for the Flux releases can't be read: open " + missing,
		"--flux-releases-ca-file=" + empty:               "the CA file for the Flux releases has no certificate: " + empty,
	} {
		t.Run(flag, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(parseReleases(g, flag).complete()).To(MatchError(HavePrefix(sentence)))
		})
	}
}
