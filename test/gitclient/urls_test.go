// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitclient_test

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

// TestURLs: what the extension accepts, the client asks for as Git would. What it refuses, the client can't ask for.
func TestURLs(t *testing.T) {
	hostKey := newEd25519(t)
	internet := newInternet(t, hostKey)
	for _, tc := range []struct {
		// written is the value of key repositoryUrl.
		written string
		// git is what Git asks for.
		git asked
		// flux is the only URL that could be given to Flux, if the extension refuses what is written.
		flux string
	}{
		{"ssh://git@git.example.org/owner/repo.git", asked{"git.example.org:22", "git", "/owner/repo.git"}, ""},
		{"ssh://git@Git.Example.org:22/owner/repo.git", asked{"git.example.org:22", "git", "/owner/repo.git"}, ""},
		{"ssh://git.example.org:2222/owner/repo.git", asked{"git.example.org:2222", "git", "/owner/repo.git"}, ""},
		{"ssh://git@192.0.2.7:2222/owner/repo.git", asked{"192.0.2.7:2222", "git", "/owner/repo.git"}, ""},
		{"ssh://pat.doe%40example.com@git.example.org:2022/p/acme/r/fleet", asked{"git.example.org:2022", "pat.doe@example.com", "/p/acme/r/fleet"}, ""},
		{"ssh://pat.doe@example.com@git.example.org:2022/p/acme/r/fleet", asked{"git.example.org:2022", "pat.doe@example.com", "/p/acme/r/fleet"}, ""},
		{"pat.doe@example.com@git.example.org:acme/fleet", asked{"git.example.org:22", "pat.doe@example.com", "/acme/fleet"}, ""},
		{"ssh://svc+flux@git.example.org/owner/repo.git", asked{"git.example.org:22", "svc+flux", "/owner/repo.git"}, ""},
		{"ssh://o'brien%40example.com@git.example.org/owner/repo.git", asked{"git.example.org:22", "o'brien@example.com", "/owner/repo.git"}, ""},
		{"ssh://a_b!%23$%25&*=%3F%5E%60%7B%7C%7D~@git.example.org/owner/repo.git", asked{"git.example.org:22", "a_b!#$%&*=?^`{|}~", "/owner/repo.git"}, ""},
		{"git@git.example.org:owner/repo.git", asked{"git.example.org:22", "git", "/owner/repo.git"}, ""},
		{"git@git.example.org:/srv/git/repo.git", asked{"git.example.org:22", "git", "/srv/git/repo.git"}, ""},
		{"git@git.example.org:2222/repo.git", asked{"git.example.org:22", "git", "/2222/repo.git"}, ""},
		{"git@git.example.org:~pat/repo", asked{"git.example.org:22", "git", "/~pat/repo"}, ""},
		{"ssh://git@git.example.org/my%20project/a+b%25%3F%23ü.git", asked{"git.example.org:22", "git", "/my project/a+b%?#ü.git"}, ""},
		{`ssh://git@git.example.org/a\b;$(c)"d.git`, asked{"git.example.org:22", "git", `/a\b;$(c)"d.git`}, ""},
		{"http://git.example.org/owner/repo", asked{"git.example.org:80", "", "/owner/repo"}, ""},
		{"http://git.example.org:8080/owner/repo/", asked{"git.example.org:8080", "", "/owner/repo"}, ""},
		{"http://git.example.org/my%20project/_git/a+b&c;ü", asked{"git.example.org:80", "", "/my%20project/_git/a+b&c;%C3%BC"}, ""},
		{"http://[2001:db8::1]:8080/owner/repo", asked{"[2001:db8::1]:8080", "", "/owner/repo"}, ""},

		{"ssh://git@[2001:db8::1]/owner/repo", asked{"[2001:db8::1]:22", "git", "/owner/repo"}, "ssh://git@[2001:db8::1]/owner/repo"},
		{"ssh://git@[2001:db8::1]:2222/owner/repo", asked{"[2001:db8::1]:2222", "git", "/owner/repo"}, "ssh://git@[2001:db8::1]:2222/owner/repo"},
		{"git@[2001:db8::1]:owner/repo", asked{"[2001:db8::1]:22", "git", "/owner/repo"}, "ssh://git@[2001:db8::1]/owner/repo"},
		{"git@git.example.org:fleet.git", asked{"git.example.org:22", "git", "fleet.git"}, "ssh://git@git.example.org/fleet.git"},
		{"git@git.example.org:./a/fleet.git", asked{"git.example.org:22", "git", "./a/fleet.git"}, "ssh://git@git.example.org/./a/fleet.git"},
		{"git@git.example.org:~/fleet.git", asked{"git.example.org:22", "git", "~/fleet.git"}, "ssh://git@git.example.org/~/fleet.git"},
		{"ssh://git@git.example.org/~/fleet.git", asked{"git.example.org:22", "git", "~/fleet.git"}, "ssh://git@git.example.org/~/fleet.git"},
		{"http://git.example.org/a%2Fb", asked{"git.example.org:80", "", "/a%2Fb"}, "http://git.example.org/a%2Fb"},
		{"http://git.example.org/a%3Fb", asked{"git.example.org:80", "", "/a%3Fb"}, "http://git.example.org/a%3Fb"},
		{"http://git.example.org/a%23b", asked{"git.example.org:80", "", "/a%23b"}, "http://git.example.org/a%23b"},
		{"http://git.example.org/a%2541", asked{"git.example.org:80", "", "/a%2541"}, "http://git.example.org/a%2541"},
	} {
		t.Run(tc.written, func(t *testing.T) {
			g := NewWithT(t)
			data := map[string]string{"repositoryUrl": tc.written}
			if !strings.HasPrefix(tc.written, "http") {
				data["repositoryType"] = "private"
			}
			configuration, err := project.Parse(&corev1.ConfigMap{Data: data})
			knownHosts := ""
			for _, host := range []string{"git.example.org", "192.0.2.7", "2001:db8::1"} {
				for _, port := range []string{"22", "2022", "2222"} {
					knownHosts += "[" + host + "]:" + port + " " + public(hostKey) + "\n"
				}
			}
			if tc.flux != "" {
				g.Expect(err).To(HaveOccurred())
				got, _ := internet.clone(t, tc.flux, knownHosts)
				g.Expect(got).NotTo(Equal(tc.git), "the client can do that")
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			got, _ := internet.clone(t, configuration.Repository.URL, knownHosts)
			g.Expect(got).To(Equal(tc.git))
		})
	}
}
