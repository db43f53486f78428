// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"cmp"
	"fmt"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh/knownhosts"
	corev1 "k8s.io/api/core/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

const (
	keyA     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	keyB     = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"
	sshURL   = "ssh://git@git.example.org/owner/repo.git"
	httpsURL = "https://example.org/repo"
)

// parse is for tests of what the keys say.
func parse(data map[string]string) (*fluxv1alpha1.FluxConfig, error) {
	return Parse(&corev1.ConfigMap{Data: data})
}

// manyKeys is a ConfigMap that somebody made of a directory of files.
func manyKeys(count int) map[string]string {
	data := map[string]string{}
	for i := range count {
		data[fmt.Sprintf("wrong-%05d", i)] = "x"
	}
	return data
}

const inHome = `for Git, this path begins in the home directory of the server's user, and for Flux in the root directory: ` +
	`write it as "ssh://git@host/path/to/repository.git" with the path as the server sees it from there; ` +
	`a server that has only names of repositories, such as Gitolite, takes "ssh://git@host/repository.git"`

const writeURL = `write it as "https://host/owner/repository", "ssh://git@host/owner/repository.git", "git@host:owner/repository.git" or "oci://host/repository"`

func public(url string) *fluxv1alpha1.Repository {
	return &fluxv1alpha1.Repository{URL: url, Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPublic}
}

func private(url string) *fluxv1alpha1.Repository {
	return &fluxv1alpha1.Repository{URL: url, Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPrivate}
}

var acceptedCases = map[string]struct {
	data           map[string]string
	version        string
	allowDowngrade bool
	installation   fluxv1alpha1.InstallationMode
	removalPolicy  fluxv1alpha1.RemovalPolicy
	repository     *fluxv1alpha1.Repository
}{
	"nothing":                      {data: nil, version: "latest"},
	"empty values are not written": {data: map[string]string{"fluxVersion": " ", "repositoryUrl": "\n", "repositoryBranch": ""}, version: "latest"},
	"version with v":               {data: map[string]string{"fluxVersion": "v2.9.4"}, version: "v2.9.4"},
	"version without v":            {data: map[string]string{"fluxVersion": "0.29.5"}, version: "v0.29.5"},
	"pre-release":                  {data: map[string]string{"fluxVersion": "2.0.0-rc.5"}, version: "v2.0.0-rc.5"},
	"latest":                       {data: map[string]string{"fluxVersion": "latest\n"}, version: "latest"},
	"range":                        {data: map[string]string{"fluxVersion": " 2.x "}, version: "2.x"},
	"range with v":                 {data: map[string]string{"fluxVersion": "v2.9.x"}, version: "v2.9.x"},
	"two numbers are a range":      {data: map[string]string{"fluxVersion": "2.9"}, version: "2.9"},
	"one number is a range":        {data: map[string]string{"fluxVersion": "v2"}, version: "v2"},
	"patches of a release":         {data: map[string]string{"fluxVersion": "~2.9.0"}, version: "~2.9.0"},
	"comparison":                   {data: map[string]string{"fluxVersion": ">= 2.8.0, <2.10 || ^3.1"}, version: ">= 2.8.0, <2.10 || ^3.1"},
	"from one to another":          {data: map[string]string{"fluxVersion": "2.6 - 2.8"}, version: "2.6 - 2.8"},
	"anything":                     {data: map[string]string{"fluxVersion": "*"}, version: "*"},
	"downgrade":                    {data: map[string]string{"fluxVersion": "v2.6.4", "allowDowngrade": "true"}, version: "v2.6.4", allowDowngrade: true},
	"no downgrade":                 {data: map[string]string{"fluxVersion": "v2.6.4", "allowDowngrade": "false"}, version: "v2.6.4"},
	"installation is the users'":   {data: map[string]string{"installation": "once"}, version: "latest", installation: "once"},
	"installation is ours":         {data: map[string]string{"installation": "managed"}, version: "latest"},
	"workloads stay":               {data: map[string]string{"removalPolicy": "keep-workloads"}, version: "latest"},
	"workloads are deleted":        {data: map[string]string{"removalPolicy": " delete-workloads\n"}, version: "latest", removalPolicy: "delete-workloads"},
	"Flux stays":                   {data: map[string]string{"removalPolicy": "keep-flux"}, version: "latest", removalPolicy: "keep-flux"},
	"public repository": {
		data:       map[string]string{"repositoryUrl": "https://github.com/fluxcd/flux2-kustomize-helm-example"},
		version:    "latest",
		repository: public("https://github.com/fluxcd/flux2-kustomize-helm-example"),
	},
	"http with port, host in capitals": {
		data:       map[string]string{"repositoryUrl": "HTTP://Git.Example.org:8080/Repo.git", "repositoryType": "public"},
		version:    "latest",
		repository: public("http://git.example.org:8080/Repo.git"),
	},
	"all keys": {
		data: map[string]string{
			"fluxVersion": "2.9.4", "repositoryUrl": sshURL, "repositoryBranch": "release/1.x",
			"repositoryType": "private", "repositoryPath": "clusters//production/", "knownHosts": "# ours\n\ngit.example.org " + keyA + " ops@example.org since 2024\r\n",
		},
		version: "v2.9.4",
		repository: &fluxv1alpha1.Repository{URL: sshURL, Branch: "release/1.x", Path: "./clusters/production", Type: fluxv1alpha1.RepositoryPrivate,
			KnownHosts: "git.example.org " + keyA + "\n"},
	},
	"scp form": {
		data:       map[string]string{"repositoryUrl": "git@github.com:owner/repo.git", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://git@github.com/owner/repo.git"),
	},
	"scp form with absolute path and without user": {
		data:       map[string]string{"repositoryUrl": "git.example.org:/srv/git/repo.git", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://git.example.org/srv/git/repo.git"),
	},
	"user is an e-mail address": {
		data:       map[string]string{"repositoryUrl": "ssh://pat.doe%40example.com@source.example.com:2022/p/acme/r/fleet", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://pat.doe%40example.com@source.example.com:2022/p/acme/r/fleet"),
	},
	"user is an e-mail address as it is": {
		data:       map[string]string{"repositoryUrl": "ssh://pat.doe@example.com@source.example.com:2022/p/acme/r/fleet", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://pat.doe%40example.com@source.example.com:2022/p/acme/r/fleet"),
	},
	"user is an e-mail address, scp form": {
		data:       map[string]string{"repositoryUrl": "pat.doe@example.com@source.example.com:acme/fleet", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://pat.doe%40example.com@source.example.com/acme/fleet"),
	},
	"user with plus": {
		data:       map[string]string{"repositoryUrl": "ssh://svc+flux@git.example.org/owner/repo.git", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://svc+flux@git.example.org/owner/repo.git"),
	},
	"HTTPS to an IPv6 address": {
		data:       map[string]string{"repositoryUrl": "https://[2001:DB8::1]:8443/repo"},
		version:    "latest",
		repository: public("https://[2001:db8::1]:8443/repo"),
	},
	"slash at the end": {
		data:       map[string]string{"repositoryUrl": "https://example.org/owner/repo/"},
		version:    "latest",
		repository: public("https://example.org/owner/repo"),
	},
	"blank in the path": {
		data:       map[string]string{"repositoryUrl": "https://dev.example.org/my%20project/_git/fleet"},
		version:    "latest",
		repository: public("https://dev.example.org/my%20project/_git/fleet"),
	},
	"user's repository of a forge": {
		data:       map[string]string{"repositoryUrl": "git@git.example.org:~pat/fleet", "repositoryType": "private"},
		version:    "latest",
		repository: private("ssh://git@git.example.org/~pat/fleet"),
	},
	"host in capitals in known hosts": {
		data:    map[string]string{"repositoryUrl": "ssh://git@Git.Example.org/owner/repo.git", "repositoryType": "private", "knownHosts": "GIT.Example.org,Other " + keyA},
		version: "latest",
		repository: &fluxv1alpha1.Repository{URL: sshURL, Branch: "main", Path: "./", Type: fluxv1alpha1.RepositoryPrivate,
			KnownHosts: "git.example.org,other " + keyA + "\n"},
	},
	"artifacts by tag": {
		data:       map[string]string{"repositoryUrl": "oci://Registry.example.org:5000/fleet/shoots", "repositoryTag": "v1_x"},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: "oci://registry.example.org:5000/fleet/shoots", Tag: "v1_x", Path: "./", Type: fluxv1alpha1.RepositoryPublic},
	},
	"artifacts by range, signed without key": {
		data:    map[string]string{"repositoryUrl": "oci://registry.example.org/fleet", "repositorySemver": ">=1.0.0 <2.0.0", "repositoryType": "private", "verifyIssuer": "^https://x$", "verifySubject": "^y$"},
		version: "latest",
		repository: &fluxv1alpha1.Repository{URL: "oci://registry.example.org/fleet", Semver: ">=1.0.0 <2.0.0", Path: "./", Type: fluxv1alpha1.RepositoryPrivate,
			Verify: &fluxv1alpha1.Verification{Issuer: "^https://x$", Subject: "^y$"}},
	},
	"artifacts by digest, signed with a key": {
		data:    map[string]string{"repositoryUrl": "oci://registry.example.org/fleet", "repositoryDigest": "sha256:" + strings.Repeat("a", 64), "verifyKeys": cosignKey},
		version: "latest",
		repository: &fluxv1alpha1.Repository{URL: "oci://registry.example.org/fleet", Digest: "sha256:" + strings.Repeat("a", 64), Path: "./", Type: fluxv1alpha1.RepositoryPublic,
			Verify: &fluxv1alpha1.Verification{Keys: cosignKey}},
	},
	"tag of Git, in a private repository over HTTPS, signed with PGP": {
		data:       map[string]string{"repositoryUrl": httpsURL, "repositoryTag": "release/v1", "repositoryType": "private", "verifyKeys": pgpKey},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: httpsURL, Tag: "release/v1", Path: "./", Type: fluxv1alpha1.RepositoryPrivate, Verify: &fluxv1alpha1.Verification{Keys: pgpKey}},
	},
	"newest version of Git": {
		data:       map[string]string{"repositoryUrl": httpsURL, "repositorySemver": "~1.4"},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: httpsURL, Semver: "~1.4", Path: "./", Type: fluxv1alpha1.RepositoryPublic},
	},
	"commit": {
		data:       map[string]string{"repositoryUrl": httpsURL, "repositoryCommit": strings.Repeat("5f0c", 10)},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: httpsURL, Commit: strings.Repeat("5f0c", 10), Path: "./", Type: fluxv1alpha1.RepositoryPublic},
	},
	"pull request": {
		data:       map[string]string{"repositoryUrl": httpsURL, "repositoryRefName": "refs/pull/420/head"},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: httpsURL, RefName: "refs/pull/420/head", Path: "./", Type: fluxv1alpha1.RepositoryPublic},
	},
	"the rest in key config": {
		data:       map[string]string{"repositoryPath": "x", "config": "repository: {url: " + httpsURL + "}"},
		version:    "latest",
		repository: &fluxv1alpha1.Repository{URL: httpsURL, Branch: "main", Path: "./x", Type: fluxv1alpha1.RepositoryPublic},
	},
	"overrides": {
		data:    map[string]string{"overrides": "[{selector: {matchLabels: {stage: dev}}, config: {flux: {version: 2.x}}}]"},
		version: "latest",
	},
	"path of the root": {
		data:       map[string]string{"repositoryUrl": "https://example.org/repo", "repositoryPath": "."},
		version:    "latest",
		repository: public("https://example.org/repo"),
	},
}

func TestParseAccepts(t *testing.T) {
	for name, tc := range acceptedCases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config, err := parse(tc.data)
			g.Expect(err).NotTo(HaveOccurred())
			want := defaulted(tc.repository)
			want.Flux.Version, want.Flux.AllowDowngrade = tc.version, new(tc.allowDowngrade)
			want.Installation = cmp.Or(tc.installation, want.Installation)
			want.RemovalPolicy = cmp.Or(tc.removalPolicy, want.RemovalPolicy)
			g.Expect(config).To(Equal(want))
		})
	}
}

var knownHostsCases = map[string]struct{ url, knownHosts string }{
	"port 22":             {sshURL, "git.example.org " + keyA},
	"written port 22":     {"ssh://git@git.example.org:22/repo", "git.example.org " + keyA},
	"other port":          {"ssh://git@git.example.org:2222/repo", "[git.example.org]:2222 " + keyA},
	"several hosts":       {sshURL, "git.example.org,192.0.2.7 " + keyA},
	"pattern":             {sshURL, "*.example.org " + keyA},
	"hashed":              {sshURL, knownhosts.HashHostname("git.example.org") + " " + keyA},
	"hashed, other port":  {"ssh://git@git.example.org:2222/repo", knownhosts.HashHostname("[git.example.org]:2222") + " " + keyA},
	"the same key twice":  {sshURL, "git.example.org " + keyA + "\n*.example.org " + keyA},
	"one type is revoked": {sshURL, "@revoked * " + keyB + "\ngit.example.org " + keyB + "\ngit.example.org " + keyA},
	"one of several fits": {sshURL, "github.com " + keyB + "\ngit.example.org " + keyA},
	"another is revoked":  {sshURL, "@revoked * " + keyB + "\ngit.example.org " + keyA},
}

func TestParseAcceptsKnownHosts(t *testing.T) {
	for name, tc := range knownHostsCases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config, err := parse(map[string]string{"repositoryUrl": tc.url, "repositoryType": "private", "knownHosts": tc.knownHosts})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(config.Repository.KnownHosts).To(Equal(tc.knownHosts + "\n"))
		})
	}
}

var refusedCases = map[string]struct {
	data map[string]string
	want string
}{
	"key in another case": {map[string]string{"repositoryURL": httpsURL},
		`repositoryURL: Forbidden: unknown key, did you mean repositoryUrl?`},
	"key with wrong letters": {map[string]string{"fluxVerison": "v2.9.4"},
		`fluxVerison: Forbidden: unknown key, did you mean fluxVersion?`},
	"key with separator": {map[string]string{"known_hosts": "x"},
		`known_hosts: Forbidden: unknown key, did you mean knownHosts?`},
	"last part of a key": {map[string]string{"branch": "x"},
		`branch: Forbidden: unknown key, did you mean repositoryBranch?`},
	"key of something else": {map[string]string{"values.yaml": "x"},
		`values.yaml: Forbidden: unknown key, the known ones are ` + knownKeys()},
	"unfinished range": {map[string]string{"fluxVersion": ">="},
		`fluxVersion: Invalid value: ">=": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`},
	"range of nothing": {map[string]string{"fluxVersion": "2.x ||"},
		`fluxVersion: Invalid value: "2.x ||": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`},
	"unknown installation": {map[string]string{"installation": "twice"},
		`installation: Unsupported value: "twice": supported values: "managed", "once"`},
	"unknown removal policy": {map[string]string{"removalPolicy": "keep"},
		`removalPolicy: Unsupported value: "keep": supported values: "keep-workloads", "delete-workloads", "keep-flux"`},
	"removal policy with wrong letters": {map[string]string{"removePolicy": "keep-flux"},
		`removePolicy: Forbidden: unknown key, did you mean removalPolicy?`},
	"last part of the removal policy": {map[string]string{"policy": "keep-flux"},
		`policy: Forbidden: unknown key, did you mean removalPolicy?`},
	"downgrade, neither yes nor no": {map[string]string{"allowDowngrade": "yes"},
		`allowDowngrade: Unsupported value: "yes": supported values: "true", "false"`},
	"no version": {map[string]string{"fluxVersion": "newest"},
		`fluxVersion: Invalid value: "newest": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`},
	"no URL": {map[string]string{"repositoryBranch": "main"},
		`repositoryUrl: Required value: the other keys of the repository are written: ` + writeURL + `, or remove the other keys to install only Flux`},
	"unknown type": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "Private"},
		`repositoryType: Unsupported value: "Private": supported values: "private", "public"`},
	"private over http": {map[string]string{"repositoryUrl": "http://example.org/repo", "repositoryType": "private"},
		`repositoryType: Invalid value: "private": everybody on the way could read the credentials, because repositoryUrl starts with http://: write it with https:// or ssh://, or write public if it can be read without credentials`},
	"public over SSH": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "public"},
		`repositoryType: Invalid value: "public": SSH always needs a key, and repositoryUrl starts with ssh:// or has the form git@host:path: write private, or an https:// URL`},
	"SSH without type": {map[string]string{"repositoryUrl": "git@github.com:owner/repo"},
		`repositoryType: Invalid value: "public": SSH always needs a key, and repositoryUrl starts with ssh:// or has the form git@host:path: write private, or an https:// URL`},
	"password": {map[string]string{"repositoryUrl": "https://user:hunter2@example.org/repo"},
		`repositoryUrl: Invalid value: it must not hold a user, password or token, because many people can read it: write the URL without, set repositoryType to private, and put them into Secret flux-source of the project`},
	"token": {map[string]string{"repositoryUrl": "https://hunter2@example.org/repo"},
		`repositoryUrl: Invalid value: it must not hold a user, password or token, because many people can read it: write the URL without, set repositoryType to private, and put them into Secret flux-source of the project`},
	"password in SSH": {map[string]string{"repositoryUrl": "ssh://git:hunter2@example.org/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: it must not hold a password, because many people can read it: write "ssh://git@host/owner/repository.git" and register the project's public key at the Git server`},
	"password in scp form": {map[string]string{"repositoryUrl": "git:hunter2@example.org:repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: it is not the URL of a Git repository: ` + writeURL},
	"password with slash": {map[string]string{"repositoryUrl": "https://git:hunt/er2@example.org/repo"},
		`repositoryUrl: Invalid value: it is not the URL of a Git repository: ` + writeURL},
	"odd user": {map[string]string{"repositoryUrl": "ssh://-oProxyCommand=x@example.org/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: the user's name must consist of letters, digits and what e-mail addresses have, such as ".", "_", "-", "+" and "@": in most cases it is git`},
	"password behind an encoded colon": {map[string]string{"repositoryUrl": "ssh://git%3Ahunter2@example.org/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: the user's name must consist of letters, digits and what e-mail addresses have, such as ".", "_", "-", "+" and "@": in most cases it is git`},
	"IPv6 over SSH": {map[string]string{"repositoryUrl": "ssh://git@[2001:db8::1]/owner/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://git@[2001:db8::1]/owner/repo": Flux can't connect to an IPv6 address over SSH: write the DNS name of the host`},
	"IPv6 over SSH with port": {map[string]string{"repositoryUrl": "ssh://git@[2001:db8::1]:2222/owner/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://git@[2001:db8::1]:2222/owner/repo": Flux can't connect to an IPv6 address over SSH: write the DNS name of the host`},
	"IPv6 in scp form": {map[string]string{"repositoryUrl": "git@[2001:db8::1]:owner/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "git@[2001:db8::1]:owner/repo": Flux can't connect to an IPv6 address over SSH: write the DNS name of the host`},
	"path in the home directory, scp form": {map[string]string{"repositoryUrl": "git@example.org:fleet.git", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "git@example.org:fleet.git": ` + inHome},
	"path from the home directory, scp form": {map[string]string{"repositoryUrl": "git@example.org:./repos/fleet.git", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "git@example.org:./repos/fleet.git": ` + inHome},
	"tilde in scp form": {map[string]string{"repositoryUrl": "git@example.org:~/fleet.git", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "git@example.org:~/fleet.git": ` + inHome},
	"tilde": {map[string]string{"repositoryUrl": "ssh://git@example.org/~/fleet.git", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://git@example.org/~/fleet.git": ` + inHome},
	"quote in the path": {map[string]string{"repositoryUrl": "ssh://git@example.org/it's/fleet.git", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://git@example.org/it's/fleet.git": write the path without "'", which old releases of Flux pass on in a way that the server takes for the end of the path`},
	"encoded slash": {map[string]string{"repositoryUrl": "https://example.org/owner%2Frepo"},
		`repositoryUrl: Invalid value: "https://example.org/owner%2Frepo": write the path without "%23", "%25", "%2F" and "%3F", which Flux decodes before it asks the server`},
	"encoded question mark": {map[string]string{"repositoryUrl": "https://example.org/owner/re%3fpo"},
		`repositoryUrl: Invalid value: "https://example.org/owner/re%3fpo": write the path without "%23", "%25", "%2F" and "%3F", which Flux decodes before it asks the server`},
	"release with build metadata": {map[string]string{"fluxVersion": "2.9.4+x"},
		`fluxVersion: Invalid value: "2.9.4+x": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`},
	"range with build metadata": {map[string]string{"fluxVersion": ">=2.9.4+x"},
		`fluxVersion: Invalid value: ">=2.9.4+x": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest"`},
	"second key of one type": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "# old and new\ngit.example.org " + keyA + "\n*.example.org " + keyB},
		`knownHosts: Invalid value: line 3: it is never used, because line 2 has another key of type ssh-ed25519 for git.example.org:22, and Flux takes the first: keep only the one that the server has`},
	"many lines that can't be used": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("x\n", 10)},
		`knownHosts: Invalid value: line 1: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…"; more lines that can't be used: 9`},
	"more lines than are read": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("x\n", 1002)},
		`knownHosts: Invalid value: line 1001: more than 1000 lines are not read: keep those of the Git server`},
	"too many keys": {manyKeys(33),
		`it has 33 keys, of which only these are read: ` + knownKeys() + `; remove the others`},
	"token in the query": {map[string]string{"repositoryUrl": httpsURL + "?token=hunter2"},
		`repositoryUrl: Invalid value: write it without "?" and "#" and what follows`},
	"fragment": {map[string]string{"repositoryUrl": httpsURL + "#"},
		`repositoryUrl: Invalid value: write it without "?" and "#" and what follows`},
	"Git's own protocol": {map[string]string{"repositoryUrl": "git://example.org/repo"},
		`repositoryUrl: Invalid value: "git://example.org/repo": only https://, http://, ssh:// and oci:// are supported: ` + writeURL},
	"local path": {map[string]string{"repositoryUrl": "/srv/git/repo"},
		`repositoryUrl: Invalid value: "/srv/git/repo": it is not the URL of a Git repository: ` + writeURL},
	"no scheme": {map[string]string{"repositoryUrl": "example.org/owner/repo"},
		`repositoryUrl: Invalid value: "example.org/owner/repo": it is not the URL of a Git repository: ` + writeURL},
	"no host": {map[string]string{"repositoryUrl": "https:///repo"},
		`repositoryUrl: Invalid value: "https:///repo": the host must be a DNS name or an IP address, and the port a number from 1 to 65535: ` + writeURL},
	"host as an option": {map[string]string{"repositoryUrl": "ssh://-oProxyCommand=x/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://-oProxyCommand=x/repo": the host must be a DNS name or an IP address, and the port a number from 1 to 65535: ` + writeURL},
	"port out of range": {map[string]string{"repositoryUrl": "https://example.org:70000/repo"},
		`repositoryUrl: Invalid value: "https://example.org:70000/repo": the host must be a DNS name or an IP address, and the port a number from 1 to 65535: ` + writeURL},
	"IPv6 zone": {map[string]string{"repositoryUrl": "ssh://git@[fe80::1%25eth0]/repo", "repositoryType": "private"},
		`repositoryUrl: Invalid value: "ssh://git@[fe80::1%25eth0]/repo": the host must be a DNS name or an IP address, and the port a number from 1 to 65535: ` + writeURL},
	"no path": {map[string]string{"repositoryUrl": "https://example.org/"},
		`repositoryUrl: Invalid value: "https://example.org/": the path of the repository is missing: ` + writeURL},
	"long URL": {map[string]string{"repositoryUrl": "file://" + strings.Repeat("a", 100)},
		`repositoryUrl: Invalid value: "file://` + strings.Repeat("a", 57) + `…": only https://, http://, ssh:// and oci:// are supported: ` + writeURL},
	"very long URL": {map[string]string{"repositoryUrl": httpsURL + strings.Repeat("a", 2048)},
		`repositoryUrl: Too long: may not be more than 2048 bytes`},
	"control character": {map[string]string{"repositoryUrl": "https://example.org/\x1b[31mrepo"},
		`repositoryUrl: Invalid value: character 21 is invisible (U+001B): type the value again`},
	"invisible blank": {map[string]string{"repositoryUrl": httpsURL, "repositoryBranch": "ma\u200bin"},
		`repositoryBranch: Invalid value: character 3 is invisible (U+200B): type the value again`},
	"no UTF-8": {map[string]string{"repositoryUrl": httpsURL, "repositoryBranch": "\xff"},
		`repositoryBranch: Invalid value: it is not UTF-8 text: type it again`},
	"encoded control character": {map[string]string{"repositoryUrl": "https://example.org/re%0apo"},
		`repositoryUrl: Invalid value: "https://example.org/re%0apo": it is not the URL of a Git repository: ` + writeURL},
	"absolute path": {map[string]string{"repositoryUrl": httpsURL, "repositoryPath": "/clusters"},
		`repositoryPath: Invalid value: "/clusters": write the directory as seen from the root of the repository, such as "./clusters/production"`},
	"path out of the repository": {map[string]string{"repositoryUrl": httpsURL, "repositoryPath": "a/../../b"},
		`repositoryPath: Invalid value: "a/../../b": the directory must be inside the repository: write it without ".."`},
	"path with backslash": {map[string]string{"repositoryUrl": httpsURL, "repositoryPath": `.\clusters`},
		`repositoryPath: Invalid value: ".\\clusters": separate directories with "/"`},
	"path with blank at the end of a part": {map[string]string{"repositoryUrl": httpsURL, "repositoryPath": `a /b`},
		`repositoryPath: Invalid value: "a /b": no part of the path may start or end with a blank`},
	"known hosts without SSH": {map[string]string{"repositoryUrl": httpsURL, "knownHosts": "example.org " + keyA},
		`knownHosts: Forbidden: it is only for SSH, and repositoryUrl starts with https://: remove it`},
	"known hosts of another host": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "github.com " + keyA},
		`knownHosts: Invalid value: no line is for git.example.org:22: add the line that "ssh-keyscan git.example.org" prints`},
	"known hosts of another port": {map[string]string{"repositoryUrl": "ssh://git@git.example.org:2222/repo", "repositoryType": "private", "knownHosts": "git.example.org " + keyA},
		`knownHosts: Invalid value: no line is for git.example.org:2222: add the line that "ssh-keyscan -p 2222 git.example.org" prints`},
	"only a revoked key": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "@revoked git.example.org " + keyA},
		`knownHosts: Invalid value: no line is for git.example.org:22: add the line that "ssh-keyscan git.example.org" prints`},
	"the same key is revoked": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "@revoked * " + keyA + "\ngit.example.org " + keyA},
		`knownHosts: Invalid value: no line is for git.example.org:22: add the line that "ssh-keyscan git.example.org" prints`},
	"certificate authority": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "@cert-authority *.example.org " + keyA},
		`knownHosts: Invalid value: line 1: @cert-authority is not supported by Flux: write the host's own public key`},
	"unknown marker": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "@mine git.example.org " + keyA},
		`knownHosts: Invalid value: line 1: only the marker @revoked is known`},
	"several keys on a line": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "\ngit.example.org " + keyA + "\ngit.example.org " + keyA + " git.example.org " + keyB},
		`knownHosts: Invalid value: line 2: it holds several keys, of which Flux uses only the first: write each key on its own line`},
	"public key without host": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": keyA},
		`knownHosts: Invalid value: line 1: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…"`},
	"cut key": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "git.example.org " + keyA[:40]},
		`knownHosts: Invalid value: line 1: the key can't be read: copy the line again, as ssh-keyscan prints it`},
	"wildcards that take long to match": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("*e", 60) + " " + keyA},
		`knownHosts: Invalid value: line 1: it has too many "*": write a line for each host`},
	"too many known hosts": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": strings.Repeat("git.example.org "+keyA+"\n", 1000)},
		`knownHosts: Too long: may not be more than 65536 bytes`},
	"unknown hash": {map[string]string{"repositoryUrl": sshURL, "repositoryType": "private", "knownHosts": "|2|abc|def " + keyA},
		`knownHosts: Invalid value: line 1: the host can't be read: write its name, [name]:port, or the hashed form that ssh-keygen -H makes`},
	"all problems at once, in order": {
		map[string]string{"knownHosts": "x", "repositoryPath": "..", "repositoryType": "secret", "repositoryBranch": "a..b", "repositoryUrl": "x", "fluxVersion": "newest", "removal-policy": "x"},
		`[fluxVersion: Invalid value: "newest": write a release such as "v2.9.4", a range such as "2.x" or "~2.9.0", or "latest", ` +
			`repositoryUrl: Invalid value: "x": it is not the URL of a Git repository: ` + writeURL + `, ` +
			`repositoryBranch: Invalid value: "a..b": a branch must not contain "..", ` +
			`repositoryType: Unsupported value: "secret": supported values: "private", "public", ` +
			`repositoryPath: Invalid value: "..": the directory must be inside the repository: write it without "..", ` +
			`knownHosts: Invalid value: line 1: write host, key type and key, for example "git.example.org ssh-ed25519 AAAAC3…", ` +
			`removal-policy: Forbidden: unknown key, did you mean removalPolicy?]`},
}

func TestParseRefuses(t *testing.T) {
	for name, tc := range refusedCases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			config, err := parse(tc.data)
			g.Expect(config).To(BeNil())
			g.Expect(err).To(MatchError(tc.want))
			g.Expect(err.Error()).NotTo(ContainSubstring("hunt"))
		})
	}
}
