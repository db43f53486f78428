// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"net/url"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// FuzzParse holds for every input: Parse doesn't panic, what it accepts it accepts again and understands
// the same way, and no error repeats what stands before the host of a URL.
func FuzzParse(f *testing.F) {
	f.Add("fluxVersion", "2.9.4", "https://example.org/repo", "main", "public", "./a", "")
	f.Add("repositoryURL", "v2.0.0-rc.1", "git@example.org:repo", "a/b", "private", ".", "example.org "+keyA)
	f.Add("x", "2.x", "ssh://git@[::1]:2222/repo", "a..b", "", "a /..", "[::1]:2222 "+keyA+"\n# x\n")
	f.Add("x", "", "https://secretuser:secretword@example.org/repo", "", "", "", "@revoked * "+keyB)
	f.Add("x", "", "ssh://git:secretword@example.org:repo?x#y", "", "private", "", "|1|a|b "+keyB)
	f.Fuzz(func(t *testing.T, otherKey, version, repositoryURL, branch, repositoryType, path, knownHosts string) {
		g := NewWithT(t)
		data := map[string]string{
			otherKey: "x", "fluxVersion": version, "repositoryUrl": repositoryURL, "repositoryBranch": branch,
			"repositoryType": repositoryType, "repositoryPath": path, "knownHosts": knownHosts,
		}
		if _, err := parse(data); err != nil {
			expectNoSecret(g, repositoryURL, err)
		}

		delete(data, otherKey)
		config, err := parse(data)
		if err != nil {
			expectNoSecret(g, repositoryURL, err)
			return
		}
		g.Expect(parse(Write(config))).To(Equal(config))
		g.Expect(Validate(config)).To(BeEmpty())
	})
}

// FuzzSecret puts a secret somewhere before the "@" of what somebody took for a URL.
func FuzzSecret(f *testing.F) {
	const secret = "hunter2hunter2"
	f.Add("https://", "user:", "", "example.org/repo", "private")
	f.Add("ssh://git:", "", "#1", "example.org/repo", "public")
	f.Add("https:/", "git@", "", "example.org:repo?x", "")
	f.Add("", "git:", "\x1b", "example.org:repo", "other")
	f.Fuzz(func(t *testing.T, scheme, before, behind, host, repositoryType string) {
		if strings.Contains(behind, "/") {
			return // Then the secret is the scheme or the host.
		}
		_, err := parse(map[string]string{"repositoryUrl": scheme + before + secret + behind + "@" + host, "repositoryType": repositoryType})
		if err != nil {
			NewWithT(t).Expect(err.Error()).NotTo(ContainSubstring(secret))
		}
	})
}

// expectNoSecret looks for user and password only if they are long enough to not be there by chance.
func expectNoSecret(g *WithT, repositoryURL string, err error) {
	u, parseErr := url.Parse(strings.TrimSpace(repositoryURL))
	if parseErr != nil || u.User == nil {
		return
	}
	password, _ := u.User.Password()
	for _, secret := range []string{password, u.User.Username()} {
		if len(secret) > 8 && !strings.Contains(u.Host+u.Path, secret) {
			g.Expect(err.Error()).NotTo(ContainSubstring(secret))
		}
	}
}
