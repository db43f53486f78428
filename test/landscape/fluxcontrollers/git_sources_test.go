// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxcontrollers_test

import (
	"strconv"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/githubapi"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// TestGitSources has the real source-controller read Git over HTTPS with each kind of credential, and shows what it says of mistakes.
func TestGitSources(t *testing.T) {
	t.Parallel()
	s := startSources(t, "git-failures.yaml")
	repository := s.repository("fleet")
	t.Run("reads", func(t *testing.T) { readGit(t, s, repository) })
	t.Run("follows", func(t *testing.T) { followGit(t, s) })
	t.Run("repairs", func(t *testing.T) { repairGit(t, s, repository) })
	t.Run("fails", func(t *testing.T) {
		failures := map[string]gitFailure{}
		for _, add := range []func(map[string]gitFailure, *sources, *gitserver.Repository){addCredentialFailures, addTrustFailures, addReferenceFailures, addAppFailures} {
			add(failures, s, repository)
		}
		for name, failed := range failures {
			s.create(name, failed.object, failed.content)
		}
		for name, failed := range failures {
			s.expectFailure(t, name, failed.object)
		}
	})
}

// clientCertificate is one that the Git server accepts.
func (s *sources) clientCertificate(name string) data {
	s.Helper()
	certificate, key, err := s.git.IssueClientCertificate(name, time.Hour)
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	return data{"tls.crt": string(certificate), "tls.key": string(key), "ca.crt": s.ca}
}

// readGit reads with each kind of credential, and looks at the server which was used.
func readGit(t *testing.T, s *sources, repository *gitserver.Repository) {
	appByID, installationByID := s.app(repository)
	appByOwner, installationByOwner := s.app(repository)
	appByOwner = appByOwner.with(data{"githubAppInstallationID": "", "githubAppInstallationOwner": "team"})
	enterprise, installationEnterprise := s.app(repository)
	enterprise["githubAppBaseURL"] += "/api/v3"
	head, err := repository.Head(t.Context(), gitserver.DefaultBranch)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	for name, test := range map[string]struct {
		url     func() (string, error)
		content data
		change  func(*sourcev1.GitRepositorySpec)
		// credential is what the server's log calls it.
		credential string
	}{
		"password":          {repository.HTTPSURL, s.password(), provider(""), "password"},
		"token":             {repository.HTTPSURL, data{"bearerToken": "right", "ca.crt": s.ca}, provider(""), "token"},
		"certificate":       {repository.MutualTLSURL, s.clientCertificate("flux"), provider(""), "certificate"},
		"certificate-token": {repository.MutualTLSURL, s.clientCertificate("other").with(data{"bearerToken": "right"}), provider(""), "token"},
		"app":               {repository.HTTPSURL, appByID, provider("github"), installationByID.TokenName(1)},
		"app-of-owner":      {repository.HTTPSURL, appByOwner, provider("github"), installationByOwner.TokenName(1)},
		"app-of-enterprise": {repository.HTTPSURL, enterprise, provider("github"), installationEnterprise.TokenName(1)},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			before, err := s.git.CredentialUses(repository.Name())
			g.Expect(err).NotTo(HaveOccurred())
			object := s.gitRepository(test.url, test.change)
			s.create("reads-"+name, object, test.content)
			s.expectRevision(t, object, "main@sha1:"+head)
			after, err := s.git.CredentialUses(repository.Name())
			g.Expect(err).NotTo(HaveOccurred())
			for credential, uses := range after {
				if credential == test.credential {
					g.Expect(uses).To(BeNumerically(">", before[credential]))
				} else {
					g.Expect(uses).To(Equal(before[credential]), credential)
				}
			}
			g.Expect(after).To(HaveKey(test.credential))
		})
	}
	appID, err := strconv.ParseInt(appByOwner["githubAppID"], 10, 64)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	NewWithT(t).Expect(s.github.Requests()).To(HaveEach(HaveField("Status", BeNumerically("<", 300))))
	NewWithT(t).Expect(s.github.Requests()).To(ContainElement(githubapi.Request{Method: "GET", Path: "/orgs/team/installation", App: appID, Status: 200}))
}

// followGit has tags move, and the newest of a range change.
func followGit(t *testing.T, s *sources) {
	g := NewWithT(t)
	repository := s.repository("tags")
	first, err := repository.Head(t.Context(), gitserver.DefaultBranch)
	g.Expect(err).NotTo(HaveOccurred())
	second, err := repository.Commit(t.Context(), gitserver.DefaultBranch, "Second", map[string]string{"a.yaml": "{}\n"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(repository.Tag(t.Context(), "stable", first)).To(Succeed())
	g.Expect(repository.Tag(t.Context(), "v1.0.0", first)).To(Succeed())
	g.Expect(repository.SetRef(t.Context(), "refs/pull/1/head", first)).To(Succeed())
	for name, test := range map[string]struct {
		reference     sourcev1.GitRepositoryRef
		before, after string
		move          func() error
	}{
		"tag":    {sourcev1.GitRepositoryRef{Tag: "stable"}, "stable@sha1:" + first, "stable@sha1:" + second, func() error { return repository.Tag(t.Context(), "stable", second) }},
		"semver": {sourcev1.GitRepositoryRef{SemVer: "1.x"}, "v1.0.0@sha1:" + first, "v1.1.0@sha1:" + second, func() error { return repository.Tag(t.Context(), "v1.1.0", second) }},
		"ref-name": {sourcev1.GitRepositoryRef{Name: "refs/pull/1/head"}, "refs/pull/1/head@sha1:" + first, "refs/pull/1/head@sha1:" + second, func() error {
			return repository.SetRef(t.Context(), "refs/pull/1/head", second)
		}},
		"commit": {sourcev1.GitRepositoryRef{Commit: first}, "sha1:" + first, "sha1:" + first, func() error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			object := s.gitRepository(repository.HTTPSURL, reference(test.reference))
			s.create("follows-"+name, object, s.password())
			s.expectRevision(t, object, test.before)
			g.Expect(test.move()).To(Succeed())
			s.reconcile(object)
			s.expectRevision(t, object, test.after)
		})
	}
}

// repairGit has a credential expire, and be replaced: what is in the shoot stays meanwhile.
func repairGit(t *testing.T, s *sources, repository *gitserver.Repository) {
	g := NewWithT(t)
	g.Expect(repository.AddCredential(gitserver.Credential{Name: "short", BearerToken: "short"})).To(Succeed())
	object := s.gitRepository(repository.HTTPSURL)
	s.create("repairs", object, data{"bearerToken": "short", "ca.crt": s.ca})
	s.expectRevision(t, object, "main@sha1:")
	g.Expect(repository.AddCredential(gitserver.Credential{Name: "short", BearerToken: "short", Expires: time.Now().Add(-time.Second)})).To(Succeed())
	s.reconcile(object)
	s.expectFailure(t, "expires", object)
	g.Expect(object.GetArtifact()).NotTo(BeNil(), "the old one stays")
	s.createSecret("repairs", "", s.password())
	s.reconcile(object)
	s.expectRevision(t, object, "main@sha1:")
}

// gitFailure is a source with a mistake.
type gitFailure struct {
	object  *sourcev1.GitRepository
	content data
}

func addCredentialFailures(failures map[string]gitFailure, s *sources, repository *gitserver.Repository) {
	for name, content := range map[string]data{
		"wrong-password":           s.password().with(data{"password": "wrong"}),
		"wrong-username":           s.password().with(data{"username": "other"}),
		"no-username":              s.password().with(data{"username": ""}),
		"no-password":              s.password().with(data{"password": ""}),
		"no-credentials":           {"ca.crt": s.ca},
		"wrong-token":              {"bearerToken": "wrong", "ca.crt": s.ca},
		"token-with-newline":       {"bearerToken": "right\n", "ca.crt": s.ca},
		"expired-token":            {"bearerToken": "expired", "ca.crt": s.ca},
		"token-without-scope":      {"bearerToken": "other-scope", "ca.crt": s.ca},
		"password-and-wrong-token": s.password().with(data{"bearerToken": "wrong"}),
	} {
		failures[name] = gitFailure{s.gitRepository(repository.HTTPSURL), content}
	}
	failures["no-secret"] = gitFailure{s.gitRepository(repository.HTTPSURL, func(spec *sourcev1.GitRepositorySpec) {
		spec.SecretRef = &meta.LocalObjectReference{Name: "does-not-exist"}
	}), nil}
	other, err := s.git.CreateRepository(s.Context(), "team/not-ours", false)
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	failures["credentials-of-another-repository"] = gitFailure{s.gitRepository(other.HTTPSURL), s.password()}
	failures["no-repository"] = gitFailure{s.gitRepository(func() (string, error) {
		url, err := repository.HTTPSURL()
		return strings.ReplaceAll(url, "fleet", "none"), err
	}), s.password()}
}

func addTrustFailures(failures map[string]gitFailure, s *sources, repository *gitserver.Repository) {
	for name, content := range map[string]data{
		"no-ca":      s.password().with(data{"ca.crt": ""}),
		"another-ca": s.password().with(data{"ca.crt": s.stranger}),
		"broken-ca":  s.password().with(data{"ca.crt": "rubbish"}),
	} {
		failures[name] = gitFailure{s.gitRepository(repository.HTTPSURL), content}
	}
	expired, expiredKey, err := s.git.IssueClientCertificate("flux", -time.Minute)
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	for name, content := range map[string]data{
		"no-client-certificate":             {"bearerToken": "right", "ca.crt": s.ca},
		"expired-client-certificate":        {"tls.crt": string(expired), "tls.key": string(expiredKey), "ca.crt": s.ca},
		"client-certificate-of-nobody":      s.clientCertificate("nobody"),
		"client-certificate-without-key":    s.clientCertificate("flux").with(data{"tls.key": ""}),
		"client-certificate-of-another-key": s.clientCertificate("flux").with(data{"tls.key": s.clientCertificate("flux")["tls.key"]}),
	} {
		failures[name] = gitFailure{s.gitRepository(repository.MutualTLSURL), content}
	}
	failures["another-name"] = gitFailure{s.gitRepository(func() (string, error) {
		url, err := repository.HTTPSURL()
		return strings.ReplaceAll(url, "127.0.0.1", "localhost"), err
	}), s.password()}
	failures["no-tls"] = gitFailure{s.gitRepository(func() (string, error) {
		url, err := repository.HTTPURL()
		return strings.ReplaceAll(url, "http:", "https:"), err
	}), s.password()}
	failures["http-to-https"] = gitFailure{s.gitRepository(func() (string, error) {
		url, err := repository.HTTPSURL()
		return strings.ReplaceAll(url, "https:", "http:"), err
	}), s.password()}
}

func addReferenceFailures(failures map[string]gitFailure, s *sources, repository *gitserver.Repository) {
	for name, ref := range map[string]sourcev1.GitRepositoryRef{
		"no-branch":           {Branch: "other"},
		"no-tag":              {Tag: "v9.9.9"},
		"no-version":          {SemVer: "9.x"},
		"no-range":            {SemVer: "newest"},
		"no-commit":           {Commit: strings.Repeat("1", 40)},
		"no-commit-of-branch": {Branch: gitserver.DefaultBranch, Commit: strings.Repeat("1", 40)},
		"short-commit":        {Commit: "1234567"},
		"no-ref-name":         {Name: "refs/pull/9/head"},
	} {
		failures[name] = gitFailure{s.gitRepository(repository.HTTPSURL, reference(ref)), s.password()}
	}
}

func addAppFailures(failures map[string]gitFailure, s *sources, repository *gitserver.Repository) {
	app, _ := s.app(repository)
	suspended, suspendedInstallation := s.app(repository)
	suspendedInstallation.Suspend(true)
	untrusted, _ := s.app(repository) // another one: Flux would have a token for the first one already
	gone, goneInstallation := s.app(repository)
	goneInstallation.Uninstall()
	other, err := s.git.CreateRepository(s.Context(), "team/not-installed", false)
	NewWithT(s).Expect(err).NotTo(HaveOccurred())
	for name, content := range map[string]data{
		"another-key":        app.with(data{"githubAppPrivateKey": otherPrivateKey(s.T)}),
		"broken-key":         app.with(data{"githubAppPrivateKey": "rubbish"}),
		"no-key":             app.with(data{"githubAppPrivateKey": ""}),
		"no-app":             app.with(data{"githubAppID": "4711"}),
		"id-is-no-number":    app.with(data{"githubAppID": "flux"}),
		"no-installation":    app.with(data{"githubAppInstallationID": ""}),
		"both-installations": app.with(data{"githubAppInstallationOwner": "team"}),
		"wrong-installation": app.with(data{"githubAppInstallationID": "4711"}),
		"wrong-owner":        app.with(data{"githubAppInstallationID": "", "githubAppInstallationOwner": "nobody"}),
		"suspended":          suspended,
		"uninstalled":        gone,
		"no-ca":              untrusted.with(data{"ca.crt": ""}),
		"unreachable":        app.with(data{"githubAppBaseURL": "https://127.0.0.1:1"}),
		"no-app-data":        s.password(),
	} {
		failures["app-"+name] = gitFailure{s.gitRepository(repository.HTTPSURL, provider("github")), content}
	}
	failures["app-no-provider"] = gitFailure{s.gitRepository(repository.HTTPSURL), app}
	failures["app-not-of-the-repository"] = gitFailure{s.gitRepository(other.HTTPSURL, provider("github")), app}
}
