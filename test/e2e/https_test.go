// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package e2e_test

import (
	"fmt"
	"maps"
	"strconv"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
)

// Values of credentials, which nobody may be shown.
const (
	rightToken    = "token-of-the-fleet"
	wrongToken    = "token-of-somebody"
	rightPassword = "password-of-the-fleet"
)

// writeCredentials makes Secret flux-source, or replaces what it holds.
func (p *projectAdmin) writeCredentials(data map[string]string) {
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: p.namespace, Name: sourcesecret.SecretName}, StringData: data}
	if err := p.landscape.GardenClient.Create(p.t.Context(), secret); err != nil {
		p.Expect(p.landscape.GardenClient.Update(p.t.Context(), secret)).To(Succeed())
	}
}

// correctSecret is how a sentence ends about credentials that no server takes.
func (p *projectAdmin) correctSecret() string {
	return fmt.Sprintf("correct Secret %s/%s of the garden", p.namespace, sourcesecret.SecretName)
}

// addCA is how a sentence ends about a certificate that nobody trusts.
func (p *projectAdmin) addCA() string {
	return fmt.Sprintf("put the certificate of the CA that has signed it into ca.crt of Secret %s/%s of the garden", p.namespace, sourcesecret.SecretName)
}

// newCredentials are those that the repository's server takes, and its authority.
func (p *projectAdmin) newCredentials(repository *gitserver.Repository) map[string]string {
	p.Expect(repository.AddCredential(gitserver.Credential{Name: "password", Username: "fleet", Password: rightPassword})).To(Succeed())
	ca, err := p.landscape.Git.CA()
	p.Expect(err).NotTo(HaveOccurred())
	return map[string]string{sourcesecret.KeyUsername: "fleet", sourcesecret.KeyPassword: rightPassword, sourcesecret.KeyCACert: string(ca)}
}

// overHTTPS is the configuration for a private repository with credentials that the admin writes.
func (p *projectAdmin) overHTTPS(repository *gitserver.Repository) map[string]string {
	url, err := repository.HTTPSURL()
	p.Expect(err).NotTo(HaveOccurred())
	return map[string]string{"fluxVersion": fluxVersion, "repositoryUrl": url, "repositoryType": "private"}
}

// expectUsed waits until the Git server has let somebody in with a credential: what Flux has read with another one before counts as read.
func (p *projectAdmin) expectUsed(repository *gitserver.Repository, credential string) {
	p.Eventually(func() (map[string]int, error) { return p.landscape.Git.CredentialUses(repository.Name()) }, timeout, interval).Should(HaveKey(credential))
}

// TestHTTPS reads a private repository by each kind of credential, after the mistakes that people make with it. The first shoot of the project comes
// before its Secret.
func TestHTTPS(t *testing.T) {
	parallel(t)
	p := newProject(t, "https")
	repository := p.newRepository(false)
	configuration, credentials := p.overHTTPS(repository), p.newCredentials(repository)
	p.configure(configuration)
	shoot := p.newShoot("one")
	shoot.expectError("secret garden-https/flux-source in the garden: it does not exist, and a private repository is read with it: make it, for example by ")

	url, ca := configuration["repositoryUrl"], credentials[sourcesecret.KeyCACert]
	shoot.readByToken(p, repository, url, ca)
	shoot.readByPassword(p, repository, credentials)
	shoot.readAsApp(p, repository, url, ca)
	shoot.expectHealthy() // none of the mistakes was Gardener's
	shown := fmt.Sprint(shoot.statusConfigMap(p), shoot.events(p))
	p.Expect(shown).NotTo(Or(ContainSubstring(rightToken), ContainSubstring(wrongToken), ContainSubstring(rightPassword), ContainSubstring("PRIVATE KEY")))
}

func (s *shootOwner) readByToken(p *projectAdmin, repository *gitserver.Repository, url, ca string) {
	p.Expect(repository.AddCredential(gitserver.Credential{Name: "token", BearerToken: rightToken})).To(Succeed())
	p.writeCredentials(map[string]string{sourcesecret.KeyBearerToken: wrongToken})
	s.expectMistake("CertificateUntrusted", p.addCA())
	s.expectSucceeded()
	p.writeCredentials(map[string]string{sourcesecret.KeyBearerToken: wrongToken, sourcesecret.KeyCACert: ca})
	s.expectMistake("AuthenticationFailed", "the Git server does not accept the credentials for "+url+": "+p.correctSecret())
	p.writeCredentials(map[string]string{sourcesecret.KeyBearerToken: rightToken, sourcesecret.KeyCACert: ca})
	s.expectRevision(repository, gitserver.DefaultBranch)
	s.expectContent()
	p.expectUsed(repository, "token")
}

func (s *shootOwner) readByPassword(p *projectAdmin, repository *gitserver.Repository, credentials map[string]string) {
	incomplete := maps.Clone(credentials)
	delete(incomplete, sourcesecret.KeyPassword)
	p.writeCredentials(incomplete)
	s.expectMistake("NotAsConfigured", "secret garden-https/flux-source in the garden: key username is there, but not password: add it, which can be a token")
	secret := &corev1.Secret{}
	p.Expect(s.cluster().Get(p.t.Context(), client.ObjectKey{Namespace: flux.Namespace, Name: sourcesecret.SecretName}, secret)).To(Succeed())
	p.Expect(secret.Data).To(HaveKeyWithValue(sourcesecret.KeyBearerToken, []byte(rightToken)), "the shoot keeps what it has")
	p.writeCredentials(credentials)
	s.expectRevision(repository, gitserver.DefaultBranch)
	p.expectUsed(repository, "password")
}

func (s *shootOwner) readAsApp(p *projectAdmin, repository *gitserver.Repository, url, ca string) {
	api, err := github()
	p.Expect(err).NotTo(HaveOccurred())
	app, err := api.CreateApp(p.name)
	p.Expect(err).NotTo(HaveOccurred())
	installation := app.Install(p.name, repository)
	installation.Suspend(true)
	credentials := map[string]string{
		sourcesecret.KeyGitHubAppID: strconv.FormatInt(app.ID, 10), sourcesecret.KeyGitHubAppPrivateKey: string(app.PrivateKey), sourcesecret.KeyGitHubAppBaseURL: api.BaseURL(), sourcesecret.KeyCACert: ca,
	}
	p.writeCredentials(credentials)
	s.expectMistake("NotAsConfigured", "of the keys githubAppInstallationID and githubAppInstallationOwner, a GitHub App needs one and not the other")
	credentials[sourcesecret.KeyGitHubAppInstallationID] = strconv.FormatInt(installation.ID, 10)
	p.writeCredentials(credentials)
	s.expectMistake("AuthenticationFailed", "Flux can't use the credentials for "+url+": "+p.correctSecret())
	installation.Suspend(false)
	s.fetch()
	s.expectRevision(repository, gitserver.DefaultBranch)
	p.expectUsed(repository, installation.TokenName(1))
}
