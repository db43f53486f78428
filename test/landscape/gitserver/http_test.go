// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gstruct"
)

func TestHTTPServesPublicRepositories(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	g.Expect(repository.Public()).To(BeTrue())
	alice := newPerson(t, server)

	for _, url := range []string{httpURL(t, repository), strings.TrimSuffix(httpURL(t, repository), ".git")} {
		dir, err := alice.clone(url)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(filepath.Join(dir, "kustomization.yaml")).To(BeAnExistingFile())
	}
	g.Expect(accesses(t, server)).NotTo(BeEmpty())
	g.Expect(accesses(t, server)).To(HaveEach(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
		"Protocol": Equal(HTTP), "Repository": Equal("team/fleet"), "Fingerprint": BeEmpty(), "Accepted": BeTrue(),
	})))

	sha, err := repository.Commit(t.Context(), "main", "change", map[string]string{"new.txt": "new\n"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(alice.git("ls-remote", httpURL(t, repository), "main")).To(HavePrefix(sha))
}

func TestHTTPRefusesPrivateRepositories(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	g.Expect(repository.Public()).To(BeFalse())
	alice := newPerson(t, server)
	g.Expect(repository.RegisterKey(alice.publicKey)).To(Succeed())

	_, err := alice.clone(httpURL(t, repository))
	g.Expect(err).To(MatchError(MatchRegexp("repository '.*' not found")))
	g.Expect(accesses(t, server)).To(ConsistOf(gstruct.MatchFields(gstruct.IgnoreExtras, gstruct.Fields{
		"Protocol": Equal(HTTP), "Repository": Equal("team/fleet"), "Accepted": BeFalse(), "Reason": Equal("there is no such public repository"),
	})))
}

func TestHTTPIsReadOnly(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	alice := newPerson(t, server)
	dir, err := alice.clone(httpURL(t, repository))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = alice.git("-C", dir, "commit", "--quiet", "--allow-empty", "-m", "change")
	g.Expect(err).NotTo(HaveOccurred())
	_, err = alice.git("-C", dir, "push", "origin", "main")
	g.Expect(err).To(MatchError(ContainSubstring("403")))
}

func TestHTTPRefusesEverythingElse(t *testing.T) {
	server := start(t)
	server.mustCreate(t, "team/fleet", true)
	server.mustCreate(t, "team/secret", false)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/team/fleet.git", http.StatusNotFound},
		{http.MethodGet, "/team/fleet.git/HEAD", http.StatusNotFound},
		{http.MethodGet, "/team/fleet.git/config", http.StatusNotFound},
		{http.MethodGet, "/team/fleet.git/info/refs", http.StatusForbidden},
		{http.MethodGet, "/team/fleet.git/info/refs?service=git-receive-pack", http.StatusForbidden},
		{http.MethodGet, "/team/fleet.git/info/refs?service=git-upload-pack&service=git-receive-pack", http.StatusForbidden},
		{http.MethodPost, "/team/fleet.git/git-receive-pack", http.StatusNotFound},
		{http.MethodPost, "/team/secret.git/git-upload-pack", http.StatusNotFound},
		{http.MethodGet, "/team/nothing.git/info/refs?service=git-upload-pack", http.StatusNotFound},
		{http.MethodGet, "/team%2f..%2fteam/secret.git/info/refs?service=git-upload-pack", http.StatusNotFound},
		{http.MethodGet, "/team/%2e%2e/info/refs?service=git-upload-pack", http.StatusNotFound},
		{http.MethodGet, "/team/fleet.git%2f..%2fsecret.git/info/refs?service=git-upload-pack", http.StatusNotFound},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			g := NewWithT(t)
			request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+server.httpAddress(t)+test.path, nil)
			g.Expect(err).NotTo(HaveOccurred())
			response, err := http.DefaultTransport.RoundTrip(request) // follows no redirect
			g.Expect(err).NotTo(HaveOccurred())
			defer func() { _ = response.Body.Close() }()
			body, err := io.ReadAll(response.Body)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(response.StatusCode).To(Equal(test.status), string(body))
		})
	}
	NewWithT(t).Expect(accesses(t, server)).To(HaveEach(HaveField("Accepted", BeFalse())))
}
