// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"encoding/base64"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/gbytes"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
)

func httpsURL(t *testing.T, r *Repository) string {
	t.Helper()
	url, err := r.HTTPSURL()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return url
}

// read lists the branches of a repository over HTTPS, with options of Git's configuration ("key=value").
func (p *person) read(url string, options ...string) (string, error) {
	p.t.Helper()
	var args []string
	for _, option := range options {
		args = append(args, "-c", option)
	}
	return p.git(append(args, "ls-remote", "--heads", url)...)
}

// trusting is the option to trust the server's authority.
func (p *person) trusting(server *Server) string {
	p.t.Helper()
	g := NewWithT(p.t)
	ca, err := server.CA()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(p.path("ca.crt"), ca, 0o600)).To(Succeed())
	return "http.sslCAInfo=" + p.path("ca.crt")
}

// refused is what Git says of status 401: it would ask its user.
const refused = "could not read Username"

func header(value string) string { return "http.extraHeader=Authorization: " + value }

func basic(username, password string) string {
	return header("Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password)))
}

func TestHTTPSServesThoseWhoHaveACredential(t *testing.T) {
	server := start(t)
	alice := newPerson(t, server)
	trust := alice.trusting(server)
	private, other := server.mustCreate(t, "team/fleet", false), server.mustCreate(t, "team/other", false)
	public := server.mustCreate(t, "team/public", true)
	for repository, credentials := range map[*Repository][]Credential{
		private: {
			{Name: "alice", Username: "alice", Password: "right"},
			{Name: "token", BearerToken: "t0ken"},
			{Name: "old", BearerToken: "expired", Expires: time.Now().Add(-time.Second)},
			{Name: "scope", BearerToken: "scope", Forbidden: true},
		},
		other: {{Name: "bob", Username: "bob", Password: "right"}},
	} {
		for _, credential := range credentials {
			NewWithT(t).Expect(repository.AddCredential(credential)).To(Succeed())
		}
	}

	for name, test := range map[string]struct {
		repository *Repository
		options    []string
		// credential is what the access log says, err what Git says if it is refused.
		credential, err string
	}{
		"password":                {private, []string{basic("alice", "right")}, "alice", ""},
		"token":                   {private, []string{header("Bearer t0ken")}, "token", ""},
		"scheme in small letters": {private, []string{header("bearer t0ken")}, "token", ""},
		"wrong password":          {private, []string{basic("alice", "wrong")}, "", refused},
		"wrong user":              {private, []string{basic("bob", "wrong")}, "", refused},
		"token as a password":     {private, []string{basic("alice", "t0ken")}, "", refused},
		"wrong token":             {private, []string{header("Bearer wrong")}, "", refused},
		"token of no scheme":      {private, []string{header("t0ken")}, "", refused},
		"certificate as a header": {private, []string{header("Certificate alice")}, "", refused},
		"expired token":           {private, []string{header("Bearer expired")}, "", refused},
		"token without the scope": {private, []string{header("Bearer scope")}, "scope", "403"},
		"credential of another":   {private, []string{basic("bob", "right")}, "", "not found"},
		"no credential":           {private, nil, "", refused},
		"public, no credential":   {public, nil, "", ""},
		"public, credential of another repository": {public, []string{basic("bob", "right")}, "", ""},
		"public, wrong credential":                 {public, []string{basic("bob", "wrong")}, "", refused},
		"no repository, no credential":             {&Repository{server.Store, "team/none"}, nil, "", refused},
		"no repository, credential of another":     {&Repository{server.Store, "team/none"}, []string{basic("bob", "right")}, "", "not found"},
		"no repository, wrong credential":          {&Repository{server.Store, "team/none"}, []string{basic("bob", "wrong")}, "", refused},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before := len(accesses(t, server))
			heads, err := alice.read(httpsURL(t, test.repository), append(test.options, trust)...)
			last := accesses(t, server)[before:]
			g.Expect(last).NotTo(BeEmpty())
			g.Expect(last).To(HaveEach(And(HaveField("Protocol", HTTPS), HaveField("Repository", test.repository.Name()),
				HaveField("Credential", test.credential), HaveField("Accepted", test.err == ""))))
			if test.err != "" {
				g.Expect(err).To(MatchError(ContainSubstring(test.err)))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(heads).To(ContainSubstring("refs/heads/main"))
		})
	}
	g := NewWithT(t)
	g.Expect(server.CredentialUses("team/fleet")).To(HaveKey("alice"))
	g.Expect(server.CredentialUses("team/fleet")).NotTo(HaveKey("scope"), "it was refused")
	log, err := os.ReadFile(server.path(accessLogFile))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(log)).NotTo(Or(ContainSubstring("t0ken"), ContainSubstring("right")))
	g.Expect(private.RemoveCredential("alice")).To(Succeed())
	_, err = alice.read(httpsURL(t, private), basic("alice", "right"), trust)
	g.Expect(err).To(MatchError(ContainSubstring(refused)))
}

func TestHTTPSNeedsTrustAndSurvivesARestart(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	first := startIn(t, dir)
	repository := first.mustCreate(t, "team/fleet", false)
	g.Expect(repository.AddCredential(Credential{Name: "alice", Username: "alice", Password: "right"})).To(Succeed())
	alice := newPerson(t, first)
	url, trust := httpsURL(t, repository), alice.trusting(first)
	_, err := alice.read(url, basic("alice", "right"))
	g.Expect(err).To(MatchError(ContainSubstring("certificate")))
	first.Close()

	second := startIn(t, dir)
	g.Expect(httpsURL(t, repository)).To(Equal(url))
	g.Expect(alice.read(url, basic("alice", "right"), trust)).NotTo(BeEmpty())
	g.Expect(os.ReadDir(dir)).NotTo(ContainElement(HaveField("Name()", HavePrefix(".authority"))))
	for _, file := range []string{authorityFile, filepath.Join("credentials", "team", "fleet", "alice.json")} {
		info, err := os.Stat(second.path(file))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)), file)
	}
}

func TestMutualTLS(t *testing.T) {
	g := NewWithT(t)
	log := gbytes.NewBuffer()
	server, err := Start(t.Context(), Options{Dir: t.TempDir(), Log: io.MultiWriter(log, t.Output())})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	alice := newPerson(t, server)
	trust := alice.trusting(server)
	private := server.mustCreate(t, "team/fleet", false)
	url, err := private.MutualTLSURL()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(private.AddCredential(Credential{Name: "machine", Certificate: "alice"})).To(Succeed())
	g.Expect(private.AddCredential(Credential{Name: "token", BearerToken: "t0ken"})).To(Succeed())
	stranger, err := certificates.NewAuthority("stranger")
	g.Expect(err).NotTo(HaveOccurred())
	with := func(certificate, key []byte, err error) []string {
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.WriteFile(alice.path("tls.crt"), certificate, 0o600)).To(Succeed())
		g.Expect(os.WriteFile(alice.path("tls.key"), key, 0o600)).To(Succeed())
		return []string{trust, "http.sslCert=" + alice.path("tls.crt"), "http.sslKey=" + alice.path("tls.key")}
	}

	// The server says why: with TLS 1.3, Git sends its request before it knows whether the server takes its certificate, and what it says
	// itself is either the server's alert or that the connection is closed.
	expectRefusal := func(reason string, options ...string) {
		_, err := alice.read(url, options...)
		g.Expect(err).To(MatchError(ContainSubstring("unable to access")))
		g.Eventually(log, timeout).Should(gbytes.Say(reason))
	}
	expectRefusal("client didn't provide a certificate", trust, header("Bearer t0ken"))
	expectRefusal("certificate signed by unknown authority", with(stranger.IssueClient("alice", nil, time.Hour))...)
	expectRefusal("certificate has expired", with(server.IssueClientCertificate("alice", -time.Minute))...)
	g.Expect(accesses(t, server)).To(BeEmpty(), "none of them got as far as a request")

	_, err = alice.read(url, with(server.IssueClientCertificate("bob", time.Hour))...)
	g.Expect(err).To(MatchError(ContainSubstring(refused)))
	g.Expect(alice.read(url, append(with(server.IssueClientCertificate("bob", time.Hour)), header("Bearer t0ken"))...)).NotTo(BeEmpty())
	g.Expect(alice.read(url, with(server.IssueClientCertificate("alice", time.Hour))...)).NotTo(BeEmpty())
	g.Expect(server.CredentialUses("team/fleet")).To(And(HaveKey("token"), HaveKey("machine")))
	_, err = alice.read(httpsURL(t, private), with(server.IssueClientCertificate("alice", time.Hour))...)
	g.Expect(err).To(MatchError(ContainSubstring(refused)), "the other server does not ask for one")
}

func TestCredentialsSayWhatIsWrong(t *testing.T) {
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", false)
	for name, test := range map[string]struct {
		credential Credential
		want       string
	}{
		"no name":     {Credential{BearerToken: "a"}, `"" is not the name of a credential`},
		"path":        {Credential{Name: "../a", BearerToken: "a"}, `"../a" is not the name of a credential`},
		"nothing":     {Credential{Name: "a"}, "a credential has a password, or a token, or a certificate"},
		"two of them": {Credential{Name: "a", Password: "secret", BearerToken: "secret"}, "a credential has a password, or a token, or a certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			err := repository.AddCredential(test.credential)
			g.Expect(err).To(MatchError(ContainSubstring(test.want)))
			g.Expect(err.Error()).NotTo(ContainSubstring("secret"))
		})
	}
	t.Run("damaged", func(t *testing.T) {
		g := NewWithT(t)
		alice := newPerson(t, server)
		g.Expect(repository.AddCredential(Credential{Name: "a", BearerToken: "a"})).To(Succeed())
		g.Expect(os.WriteFile(filepath.Join(repository.credentialsDir(), "a.json"), []byte("rubbish"), 0o600)).To(Succeed())
		_, err := alice.read(httpsURL(t, repository), alice.trusting(server), header("Bearer a"))
		g.Expect(err).To(MatchError(ContainSubstring("500")))
		g.Expect(accesses(t, server)).To(ContainElement(HaveField("Reason", ContainSubstring("is damaged, remove it"))))
	})
}

func TestRefs(t *testing.T) {
	g := NewWithT(t)
	server := start(t)
	repository := server.mustCreate(t, "team/fleet", true)
	alice := newPerson(t, server)
	first, err := repository.Head(t.Context(), DefaultBranch)
	g.Expect(err).NotTo(HaveOccurred())
	second, err := repository.Commit(t.Context(), DefaultBranch, "Second", map[string]string{"a": "a"})
	g.Expect(err).NotTo(HaveOccurred())
	remote := func(ref string) string {
		out, err := alice.git("ls-remote", httpURL(t, repository), ref)
		g.Expect(err).NotTo(HaveOccurred())
		sha, _, _ := strings.Cut(out, "\t")
		return sha
	}

	g.Expect(repository.Tag(t.Context(), "v1.0.0", first)).To(Succeed())
	g.Expect(remote("v1.0.0^{}")).To(Equal(first))
	g.Expect(repository.Tag(t.Context(), "v1.0.0", second)).To(Succeed())
	g.Expect(remote("v1.0.0^{}")).To(Equal(second))
	g.Expect(repository.DeleteRef(t.Context(), "refs/tags/v1.0.0")).To(Succeed())
	g.Expect(remote("v1.0.0")).To(BeEmpty())
	for _, ref := range []string{"refs/pull/1/head", "refs/tags/light", "refs/heads/other"} {
		for _, sha := range []string{first, second} {
			g.Expect(repository.SetRef(t.Context(), ref, sha)).To(Succeed())
			g.Expect(remote(ref)).To(Equal(sha))
		}
	}
	g.Expect(repository.Tag(t.Context(), "v1.0.0", "nothing")).To(MatchError(ContainSubstring("tag v1.0.0 of repository team/fleet")))
	g.Expect(repository.SetRef(t.Context(), "refs/heads/x", "nothing")).To(MatchError(ContainSubstring("refs of repository team/fleet")))
}
