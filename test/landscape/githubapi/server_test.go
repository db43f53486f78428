// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package githubapi_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/githubapi"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

func startGit(t *testing.T) *gitserver.Server {
	t.Helper()
	g := NewWithT(t)
	git, err := gitserver.Start(t.Context(), gitserver.Options{Dir: t.TempDir(), Log: t.Output()})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(git.Close)
	return git
}

func start(t *testing.T, options githubapi.Options) *githubapi.Server {
	t.Helper()
	g := NewWithT(t)
	server, err := githubapi.Start(options)
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { g.Expect(server.Close()).To(Succeed()) })
	return server
}

// client asks the API as an app does.
type client struct {
	*testing.T

	http   *http.Client
	server *githubapi.Server
}

func newClient(t *testing.T, git *gitserver.Server, server *githubapi.Server) *client {
	t.Helper()
	authority, err := git.Authority()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return &client{T: t, server: server, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: authority.Pool(), MinVersion: tls.VersionTLS12}}}}
}

// do returns the status, and the answer or the message in it.
func (c *client) do(method, path, assertion string) (int, map[string]any) {
	c.Helper()
	g := NewWithT(c)
	request, err := http.NewRequestWithContext(c.Context(), method, c.server.BaseURL()+path, nil)
	g.Expect(err).NotTo(HaveOccurred())
	if assertion != "" {
		request.Header.Set("Authorization", "Bearer "+assertion)
	}
	response, err := c.http.Do(request)
	g.Expect(err).NotTo(HaveOccurred())
	defer func() { _ = response.Body.Close() }()
	answer := map[string]any{}
	g.Expect(json.NewDecoder(response.Body).Decode(&answer)).To(Succeed())
	return response.StatusCode, answer
}

// assertion is a token of the app, as a client of GitHub makes it, with changes.
func assertion(t *testing.T, app *githubapi.App, change func(*jwt.RegisteredClaims)) string {
	t.Helper()
	key, err := jwt.ParseRSAPrivateKeyFromPEM(app.PrivateKey)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return sign(t, jwt.SigningMethodRS256, key, claims(app, change))
}

func claims(app *githubapi.App, change func(*jwt.RegisteredClaims)) *jwt.RegisteredClaims {
	now := time.Now()
	c := &jwt.RegisteredClaims{
		Issuer: strconv.FormatInt(app.ID, 10), IssuedAt: jwt.NewNumericDate(now.Add(-30 * time.Second)), ExpiresAt: jwt.NewNumericDate(now.Add(2 * time.Minute)),
	}
	if change != nil {
		change(c)
	}
	return c
}

func sign(t *testing.T, method jwt.SigningMethod, key any, claims *jwt.RegisteredClaims) string {
	t.Helper()
	signed, err := jwt.NewWithClaims(method, claims).SignedString(key)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return signed
}

// lsRemote has Git read a repository with a token.
func lsRemote(t *testing.T, git *gitserver.Server, repository *gitserver.Repository, token string) error {
	t.Helper()
	g := NewWithT(t)
	url, err := repository.HTTPSURL()
	g.Expect(err).NotTo(HaveOccurred())
	ca, err := git.CA()
	g.Expect(err).NotTo(HaveOccurred())
	file := filepath.Join(t.TempDir(), "ca.crt")
	g.Expect(os.WriteFile(file, ca, 0o600)).To(Succeed())
	basic := base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))
	command := exec.CommandContext(t.Context(), "git", "-c", "http.sslCAInfo="+file, "-c", "http.extraHeader=Authorization: Basic "+basic, "ls-remote", url)
	command.Dir = t.TempDir() // not this repository, whose configuration Git would read
	command.Env = []string{"PATH=" + os.Getenv("PATH"), "GIT_CONFIG_NOSYSTEM=1", "HOME=" + t.TempDir(), "GIT_TERMINAL_PROMPT=0"}
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%w: %s", err, output)
	}
	return nil
}

func TestTokens(t *testing.T) {
	g := NewWithT(t)
	git := startGit(t)
	server := start(t, githubapi.Options{Git: git.Store, TokenLifetime: time.Hour})
	c := newClient(t, git, server)
	fleet, err := git.CreateRepository(t.Context(), "team/fleet", false)
	g.Expect(err).NotTo(HaveOccurred())
	other, err := git.CreateRepository(t.Context(), "team/other", false)
	g.Expect(err).NotTo(HaveOccurred())
	app, err := server.CreateApp("flux")
	g.Expect(err).NotTo(HaveOccurred())
	installation := app.Install("team", fleet)

	status, answer := c.do(http.MethodGet, "/orgs/Team/installation", assertion(t, app, nil))
	g.Expect(status).To(Equal(http.StatusOK))
	g.Expect(answer).To(HaveKeyWithValue("id", BeNumerically("==", installation.ID)))
	status, answer = c.do(http.MethodGet, "/api/v3/app", assertion(t, app, nil))
	g.Expect(status).To(Equal(http.StatusOK))
	g.Expect(answer).To(HaveKeyWithValue("slug", "flux"))

	var tokens []string
	for range 2 { // the first one stays good
		status, answer = c.do(http.MethodPost, "/app/installations/"+strconv.FormatInt(installation.ID, 10)+"/access_tokens", assertion(t, app, nil))
		g.Expect(status).To(Equal(http.StatusCreated))
		expires, err := time.Parse(time.RFC3339, answer["expires_at"].(string))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(expires).To(BeTemporally("~", time.Now().Add(time.Hour), time.Minute))
		tokens = append(tokens, answer["token"].(string))
	}
	for _, token := range tokens {
		g.Expect(lsRemote(t, git, fleet, token)).To(Succeed())
		g.Expect(lsRemote(t, git, other, token)).To(MatchError(ContainSubstring("not found")))
	}
	g.Expect(git.CredentialUses("team/fleet")).To(And(HaveKey(installation.TokenName(1)), HaveKey(installation.TokenName(2))))
	g.Expect(server.Requests()).To(HaveEach(And(HaveField("App", app.ID), HaveField("Status", BeNumerically("<", 300)))))
}

func TestTokensExpire(t *testing.T) {
	g := NewWithT(t)
	git := startGit(t)
	server := start(t, githubapi.Options{Git: git.Store, TokenLifetime: -time.Second})
	fleet, err := git.CreateRepository(t.Context(), "team/fleet", false)
	g.Expect(err).NotTo(HaveOccurred())
	app, err := server.CreateApp("flux")
	g.Expect(err).NotTo(HaveOccurred())
	installation := app.Install("team", fleet)
	_, answer := newClient(t, git, server).do(http.MethodPost, "/app/installations/"+strconv.FormatInt(installation.ID, 10)+"/access_tokens", assertion(t, app, nil))
	g.Expect(lsRemote(t, git, fleet, answer["token"].(string))).To(MatchError(ContainSubstring("could not read Username")))
}

func TestRefusals(t *testing.T) {
	g := NewWithT(t)
	git := startGit(t)
	server := start(t, githubapi.Options{Git: git.Store})
	c := newClient(t, git, server)
	app, err := server.CreateApp("flux")
	g.Expect(err).NotTo(HaveOccurred())
	other, err := server.CreateApp("other")
	g.Expect(err).NotTo(HaveOccurred())
	suspended, gone := app.Install("suspended"), app.Install("gone")
	suspended.Suspend(true)
	gone.Uninstall()
	tokens := func(i *githubapi.Installation) string {
		return "/app/installations/" + strconv.FormatInt(i.ID, 10) + "/access_tokens"
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	g.Expect(err).NotTo(HaveOccurred())

	for name, test := range map[string]struct {
		method, path, assertion string
		status                  int
		message                 string
	}{
		"nothing":        {http.MethodGet, "/app", "", http.StatusUnauthorized, "Requires authentication"},
		"no token":       {http.MethodGet, "/app", "rubbish", http.StatusUnauthorized, "A JSON web token could not be decoded"},
		"another key":    {http.MethodGet, "/app", sign(t, jwt.SigningMethodRS256, stranger, claims(app, nil)), http.StatusUnauthorized, "A JSON web token could not be decoded"},
		"another method": {http.MethodGet, "/app", sign(t, jwt.SigningMethodHS256, []byte("secret"), claims(app, nil)), http.StatusUnauthorized, "A JSON web token could not be decoded"},
		"no app":         {http.MethodGet, "/app", assertion(t, app, func(c *jwt.RegisteredClaims) { c.Issuer = "4711" }), http.StatusNotFound, "Integration not found"},
		"no number":      {http.MethodGet, "/app", assertion(t, app, func(c *jwt.RegisteredClaims) { c.Issuer = "flux" }), http.StatusUnauthorized, "A JSON web token could not be decoded"},
		"expired":        {http.MethodGet, "/app", assertion(t, app, func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Minute)) }), http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires"},
		"for too long":   {http.MethodGet, "/app", assertion(t, app, func(c *jwt.RegisteredClaims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(time.Hour)) }), http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future"},
		"suspended":      {http.MethodPost, tokens(suspended), assertion(t, app, nil), http.StatusForbidden, "This installation has been suspended"},
		"uninstalled":    {http.MethodPost, tokens(gone), assertion(t, app, nil), http.StatusNotFound, "Not Found"},
		"another's":      {http.MethodPost, tokens(suspended), assertion(t, other, nil), http.StatusNotFound, "Not Found"},
		"not installed":  {http.MethodGet, "/orgs/gone/installation", assertion(t, app, nil), http.StatusNotFound, "Not Found"},
		"user":           {http.MethodGet, "/users/suspended/installation", assertion(t, app, nil), http.StatusNotFound, "Not Found"},
		"something else": {http.MethodGet, "/repos", assertion(t, app, nil), http.StatusNotFound, "Not Found"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			status, answer := c.do(test.method, test.path, test.assertion)
			g.Expect(status).To(Equal(test.status))
			g.Expect(answer).To(HaveKeyWithValue("message", test.message))
		})
	}
}
