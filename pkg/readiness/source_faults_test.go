// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// What Flux says of a Git server's answer begins so, in source-controller v1.
const (
	failedTo = "failed to checkout and determine revision: "
	clone    = failedTo + "unable to clone 'URL': "
	list     = failedTo + "unable to list remote for 'URL': "
	// go-git puts this before the first line that a server writes to standard error, if it does not know it as "not found".
	unknown = "unknown error: "
)

// said is what Flux says if a Git server answers so, or fails so. URL stands for the repository's.
type said struct {
	by, words string
	// https is of a public repository. All others are private, over SSH.
	https  bool
	reason string
	// advice is in what is said.
	advice string
}

// The words are those of the servers' and programs' code and documentation, as source-controller passes them on.
var saidTable = []said{
	// Host keys.
	{by: "x/crypto", words: clone + "ssh: handshake failed: knownhosts: key mismatch", reason: HostKeyMismatch, advice: "host key that is trusted"},
	{by: "x/crypto", words: list + "ssh: handshake failed: knownhosts: key is unknown", reason: HostKeyMismatch, advice: "known_hosts of Secret"},
	{by: "x/crypto", words: clone + "ssh: handshake failed: knownhosts: key is revoked", reason: HostKeyMismatch, advice: "host key that is trusted"},
	{by: "x/crypto", words: list + `ssh: handshake failed: ssh: no common algorithm for host key; we offered: ["ssh-rsa"], peer offered: ["rsa-sha2-512" "ecdsa-sha2-nistp256" "ssh-ed25519"]`,
		reason: HostKeyMismatch, advice: "correct knownHosts"},
	{by: "x/crypto, before 2025", words: clone + "ssh: handshake failed: ssh: no common algorithm for host key; client offered: [ecdsa-sha2-nistp256], server offered: [ssh-rsa]", reason: HostKeyMismatch, advice: "correct knownHosts"},
	{by: "Flux v0, libgit2", words: failedTo + "unable to fetch-connect to remote 'URL': hostkey could not be verified", reason: HostKeyMismatch, advice: "host key that is trusted"},

	// The key.
	{by: "any SSH server", words: clone + "ssh: handshake failed: ssh: unable to authenticate, attempted methods [none publickey], no supported methods remain", reason: AuthenticationFailed, advice: "KEY"},
	{by: "Flux v0, libgit2", words: failedTo + "unable to clone: Failed to authenticate SSH session: Unable to send userauth-publickey request", reason: AuthenticationFailed, advice: "KEY"},
	{by: "Flux v0, libgit2", words: failedTo + "unable to clone: callback returned unsupported credentials type", reason: AuthenticationFailed, advice: "KEY"},
	{by: "Azure DevOps", words: list + unknown + "remote: Public key authentication failed.", reason: AuthenticationFailed, advice: "KEY"},
	{by: "Azure DevOps", words: list + unknown + "remote: Command git-upload-pack: You’re using ssh-rsa that is about to be deprecated and your request has been blocked intentionally.", reason: AuthenticationFailed, advice: "KEY"},
	{by: "OpenSSH", words: clone + unknown + "git@git.example.com: Permission denied (publickey).", reason: AuthenticationFailed, advice: "KEY"},

	// The repository, over SSH.
	{by: "GitHub", words: clone + unknown + "ERROR: Repository not found.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "GitHub, go-git", words: clone + "repository not found", reason: RepositoryNotFound, advice: "KEY"},
	{by: "GitHub", words: clone + unknown + "ERROR: The 'acme' organization has enabled or enforced SAML SSO.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "GitHub", words: clone + unknown + "ERROR: Your account is suspended. Please check your email for more information.", reason: FetchFailed, advice: "ask who operates it"},
	{by: "GitLab", words: clone + unknown + "remote: ERROR: The project you were looking for could not be found or you don't have permission to view it.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "GitLab", words: clone + unknown + "ERROR: You are not allowed to download code from this project.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "GitLab", words: clone + unknown + "GitLab: API is not accessible", reason: FetchFailed, advice: "ask who operates it"},
	{by: "GitLab", words: clone + unknown + "GitLab: Disallowed command", reason: FetchFailed, advice: "ask who operates it"},
	{by: "Gitea", words: clone + unknown + "Gitea: Cannot find repository: shoots/fleet", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Gitea", words: clone + unknown + "Gitea: Unauthorized", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Gitea", words: clone + unknown + "Gitea: Public (Deploy) Key: 3:flux is not authorized to read fleet/shoots.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Forgejo", words: clone + unknown + "Forgejo: Public (Deploy) Key: 3:flux is not authorized to read fleet/shoots.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Forgejo", words: clone + unknown + "Forgejo: Internal Server Error", reason: FetchFailed, advice: "ask who operates it"},
	{by: "Gogs", words: clone + unknown + "Gogs: Repository does not exist or you do not have access", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Gogs", words: clone + unknown + "Gogs: Key access denied", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Cloud", words: clone + unknown + "repository access denied. deployment key is not associated with the requested repository.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Cloud", words: clone + unknown + "conq: repository does not exist.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Cloud", words: clone + unknown + "conq: invalid repository syntax.", reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "Bitbucket Cloud", words: clone + unknown + "Forbidden", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Server", words: list + "Repository not found\nThe requested repository does not exist, or you do not have permission to\naccess it.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Server", words: list + "Project not found\nThe requested project does not exist, or you do not have permission to access it.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Bitbucket Server", words: list + "You are not permitted to access this repository", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Azure DevOps", words: list + unknown + "remote: TF401019: The Git repository with name or identifier fleet does not exist or you do not have permissions for the operation you are attempting.", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Azure DevOps", words: list + unknown + "remote: The repository path is in an unexpected format.", reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "AWS CodeCommit", words: clone + unknown + "RepositoryDoesNotExistException: fleet does not exist", reason: RepositoryNotFound, advice: "KEY"},
	{by: "AWS CodeCommit", words: clone + unknown + "User: arn:aws:iam::1:user/flux is not authorized to perform: codecommit:GitPull on resource: arn:aws:codecommit:eu-central-1:1:fleet", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Gerrit", words: clone + unknown + "fatal: Project not found: fleet", reason: RepositoryNotFound, advice: "KEY"},
	{by: "Gerrit", words: clone + unknown + "fatal: upload-pack not permitted on 'fleet'", reason: RepositoryNotFound, advice: "KEY"},
	{by: "gitolite", words: clone + unknown + "FATAL: R any fleet/shoots flux DENIED by fallthru", reason: RepositoryNotFound, advice: "KEY"},
	{by: "gitolite", words: clone + unknown + "(or you mis-spelled the reponame)", reason: RepositoryNotFound, advice: "KEY"},
	{by: "gitolite", words: clone + unknown + "FATAL: invalid repo name: 'fleet/../shoots'", reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "git-shell", words: clone + unknown + "fatal: '/fleet/shoots.git' does not appear to be a git repository", reason: RepositoryNotFound, advice: "KEY"},
	{by: "git daemon", words: clone + unknown + "fatal: repository '/fleet/shoots.git' not found", reason: RepositoryNotFound, advice: "KEY"},
	{by: "git-upload-pack", words: clone + unknown + "fatal: not a git repository: '/fleet/shoots.git'", reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "git-upload-pack", words: clone + unknown + "fatal: detected dubious ownership in repository at '/fleet/shoots.git'", reason: FetchFailed, advice: "ask who operates it"},
	{by: "sshd", words: clone + unknown + "bash: line 1: git-upload-pack: command not found", reason: FetchFailed, advice: "ask who operates it"},
	{by: "sshd", words: clone + unknown + "This account is currently not available.", reason: FetchFailed, advice: "ask who operates it"},
	{by: "the test's own forge", words: clone + unknown + "repository does not exist, or the key is not registered for it", reason: RepositoryNotFound, advice: "KEY"},
	{by: "a server without a word", words: clone + "timeout exceeded", reason: FetchFailed, advice: "ask who operates it"},

	// The repository, over HTTPS.
	{by: "GitHub", https: true, words: list + "authentication required: Repository not found.", reason: RepositoryNotFound, advice: "set repositoryType to private"},
	{by: "GitLab", https: true, words: list + "authentication required: HTTP Basic: Access denied. The provided password or token is incorrect.", reason: AuthenticationFailed, advice: "set repositoryType to private"},
	{by: "Gitea", https: true, words: list + "authentication required: Unauthorized", reason: AuthenticationFailed, advice: "set repositoryType to private"},
	{by: "cgit", https: true, words: list + "repository not found: <html><head><title>404 Not Found</title></head></html>", reason: RepositoryNotFound, advice: "without credentials"},
	{by: "a proxy", https: true, words: list + "authorization failed: <html>x509: denied</html>", reason: AuthenticationFailed, advice: "set repositoryType to private"},
	{by: "a page that is no repository", https: true, words: list + "invalid pkt-len found", reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "a log-in page", https: true, words: list + `http redirect: target "/users/sign_in" does not end with /info/refs`, reason: RepositoryNotFound, advice: "correct repositoryUrl"},
	{by: "a server in trouble", https: true, words: list + `unexpected client error: unexpected requesting "https://git.example.com/x/info/refs?service=git-upload-pack" status code: 502`, reason: FetchFailed, advice: "ask who operates it"},
	{by: "a server with a limit", https: true, words: list + `unexpected client error: unexpected requesting "https://git.example.com/x/info/refs?service=git-upload-pack" status code: 429`, reason: FetchFailed, advice: "ask who operates it"},
	{by: "Flux v0, libgit2", https: true, words: failedTo + "unable to clone: unexpected http status code: 404", reason: RepositoryNotFound, advice: "correct repositoryUrl"},

	// What is in the repository.
	{by: "Flux", words: "git repository is empty", reason: BranchNotFound, advice: `is empty: push branch "main"`},
	{by: "go-git", words: list + "remote repository is empty", reason: BranchNotFound, advice: `is empty: push branch "main"`},
	{by: "go-git", words: clone + `couldn't find remote ref "refs/heads/main"`, reason: BranchNotFound, advice: `has no branch "main"`},
	{by: "go-git, before v5.5", words: failedTo + "unable to clone: couldn't find remote ref 'refs/heads/main': git repository: 'URL'", reason: BranchNotFound, advice: `has no branch "main"`},
	{by: "Flux v0, libgit2", words: failedTo + "unable to checkout: cannot locate remote-tracking branch 'origin/main'", reason: BranchNotFound, advice: `has no branch "main"`},
	{by: "Flux v0, libgit2", words: failedTo + "unable to lookup branch: reference 'refs/remotes/origin/main' not found", reason: BranchNotFound, advice: `has no branch "main"`},
	{by: "go-git, of a SHA-256 repository",
		words:  list + "pkt-line 1: no space after hash (e6e2f0895b19b8242893a9ab HEAD multi_ack thin-pack no-progress symref=HEAD:refs/heads/main object-format=sha256 agent=git/2.39.5)",
		reason: FetchFailed, advice: "was made with SHA-256, which Flux can't read"},

	// The network.
	{by: "Go", words: list + "dial tcp: lookup git.example.com on 100.64.0.10:53: no such host", reason: HostNotFound, advice: "the shoot's DNS"},
	{by: "Go", words: list + "dial tcp: lookup git.example.com: i/o timeout", reason: HostNotFound, advice: "the shoot's DNS"},
	{by: "Flux v0, libgit2", words: failedTo + "unable to clone: failed to resolve address for git.example.com: Name or service not known", reason: HostNotFound, advice: "the shoot's DNS"},
	{by: "Go", words: list + "dial tcp 192.0.2.1:2222: connect: connection refused", reason: HostUnreachable, advice: "no good connection"},
	{by: "Go", words: clone + "dial tcp 192.0.2.1:2222: i/o timeout", reason: HostUnreachable, advice: "no good connection"},
	{by: "Go", words: list + "context deadline exceeded", reason: HostUnreachable, advice: "no good connection"},
	{by: "Go", words: clone + "ssh: handshake failed: EOF", reason: HostUnreachable, advice: "no good connection"},
	{by: "Go", https: true, words: list + `Get "URL/info/refs?service=git-upload-pack": tls: failed to verify certificate: x509: certificate signed by unknown authority`, reason: CertificateUntrusted, advice: "ca.crt of Secret garden-shop/flux-source of the garden"},
	{by: "Go", https: true, words: list + `Get "URL/info/refs?service=git-upload-pack": proxyconnect tcp: dial tcp 192.0.2.1:3128: connect: connection refused`, reason: HostUnreachable, advice: "proxy"},
	{by: "a clone that takes too long", words: clone + "context deadline exceeded", reason: FetchTimeout, advice: "could not read the repository URL within 1m0s"},
	{by: "a clone that takes too long", words: clone + "error decoding upload-pack response: context deadline exceeded", reason: FetchTimeout, advice: "too large for the connection"},

	// Nobody knows.
	{by: "go-git", words: clone + "entry not found", reason: FetchFailed, advice: "Flux can't read the repository URL"},
	{by: "go-git", words: clone + "object corrupted", reason: FetchFailed, advice: "Flux can't read the repository URL"},
}

func (s said) url() string {
	if s.https {
		return "https://git.example.com/fleet/shoots"
	}
	return sshURL
}

func TestWhatGitServersSay(t *testing.T) {
	for _, said := range saidTable {
		t.Run(said.by+" "+said.words, func(t *testing.T) {
			g := NewWithT(t)
			o := state{url: said.url(), told: fluxv1alpha1.FluxStatus{}, repository: ready("False", sourcev1.GitOperationFailedReason, strings.ReplaceAll(said.words, "URL", said.url()))}.observe()
			if !said.https {
				o.FluxStatus.PublicKey = publicKey
			}
			got := Assess(o)
			g.Expect(got.Status).To(Equal(gardencorev1beta1.ConditionFalse))
			g.Expect(got.Reason).To(Equal(said.reason), got.Message)
			advice, _, _ := strings.Cut(got.Message, "; Flux says: ")
			g.Expect(advice).To(ContainSubstring(strings.NewReplacer("KEY", "deploy key: "+publicKey, "URL", said.url()).Replace(said.advice)))
		})
	}
}

// What a repository is called is no answer of its server.
func TestAnAddressIsNoAnswer(t *testing.T) {
	for _, name := range []string{"access-denied", "repository not found", "x509:", "no such host", "object-format=sha256", "is-empty"} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			url := "ssh://git@git.example.com/acme/" + name + ".git"
			o := state{url: url, repository: refused("unable to clone '" + url + "': object corrupted in acme/" + name)}.observe()
			g.Expect(Assess(o).Reason).To(Equal(FetchFailed))
		})
	}
}

// Reasons of the GitRepository that say more than the words.
func TestReasonsOfTheGitRepository(t *testing.T) {
	for reason, want := range map[string]string{
		"EmptyGitRepository": BranchNotFound, "ArchiveOperationFailed": ArtifactFailed, "ProgressingWithRetry": ArtifactFailed, "DirectoryCreationFailed": ArtifactFailed,
		"AuthenticationFailed": FetchFailed, "URLInvalid": FetchFailed, "NotFound": FetchFailed,
	} {
		t.Run(reason, func(t *testing.T) {
			g := NewWithT(t)
			got := Assess(state{repository: ready("False", reason, "git repository is empty, permission denied, not found")}.observe())
			g.Expect(got.Reason).To(Equal(want))
			g.Expect(got.Message).To(ContainSubstring("; Flux says: git repository is empty"))
		})
	}
}

// Reasons of the Kustomization, and what to do.
func TestReasonsOfTheKustomization(t *testing.T) {
	for name, test := range map[string]struct{ reason, message, want, advice string }{
		"artifact that can't be downloaded": {"ArtifactFailed", "failed to download archive: GET http://source-controller.flux-system.svc.cluster.local./x.tar.gz giving up after 10 attempt(s): dial tcp: i/o timeout", ArtifactFailed, "can't get that from its source-controller"},
		"artifact of another digest":        {"ArtifactFailed", "computed checksum 'a' doesn't match provided 'b'", ArtifactFailed, "can't get that from its source-controller"},
		"artifact that is being replaced":   {"ArtifactFailed", "Source is not ready, artifact not found, retrying in 30s", Applying, ""},
		"full disk":                         {"DirectoryCreationFailed", "tmp dir error: no space left on device", ArtifactFailed, "whose disk may be full"},
		"dependency":                        {"DependencyNotReady", "dependency 'x/y' is not ready", ApplyFailed, "waits for what somebody wrote into its dependsOn"},
		"expression":                        {"InvalidCELExpression", "Reconciliation failed terminally due to configuration error: x", ApplyFailed, "somebody changed the Kustomization"},
		"prune":                             {"PruneFailed", "delete failed", ApplyFailed, "does not let Flux delete"},
		"canceled":                          {"HealthCheckCanceled", "New reconciliation triggered by x", Applying, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			got := Assess(broken(test.reason, test.message).observe())
			g.Expect(got.Reason).To(Equal(test.want))
			g.Expect(got.Message).To(ContainSubstring(test.advice))
		})
	}
}
