// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"cmp"
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

const (
	keyA = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	keyB = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAfuCHKVTjquxvt6CM6tdG4SLp1Btn/nOeHHE5UOzRdf"
)

const namespace = "garden-one"

// findEventually waits for a scan that findHostKeys begins.
func findEventually(g Gomega, scanner *scanner, repository *fluxv1alpha1.Repository, origins project.Origins, stored knownhosts.Lines) (found hostKeys, err error) {
	g.Eventually(func() bool {
		found, err = findHostKeys(scanner, namespace, repository, origins, stored)
		return errors.Is(err, ErrPending)
	}, timeout, time.Millisecond).Should(BeFalse())
	return found, err
}

func noDial(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("must not be asked")
}

// TestPublished compares with the fingerprints that the forges publish beside or instead of the keys, at
// the addresses that the list names.
func TestPublished(t *testing.T) {
	g := NewWithT(t)
	_, errs := knownhosts.Parse(publishedText)
	g.Expect(errs).To(BeEmpty())

	fingerprints := map[string][]string{
		"github.com:22": {
			"SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU",
			"SHA256:p2QAMXNIC1TJYWeIOttrVc98/R1BUFWu3/LiyKgUfQM",
			"SHA256:uNiVztksCsDhcc0u9e8BujQXVUpKZIDTMczCvj3tD2s",
		},
		"gitlab.com:22": {
			"SHA256:eUXGGm1YGsMAS7vkcx6JOJdOGHPem5gQp4taiCfCLB8",
			"SHA256:HbW3g8zUjNSksFbqTiUWPWg2Bq1x8xdGUrliXFzSnUw",
			"SHA256:ROQFvPThGrW4RuWLoL9tq9I9zJ42fK4XywyRtbOz/EQ",
		},
		"bitbucket.org:22": {
			"SHA256:ybgmFkzwOSotHTHLJgHO0QN8L0xErw6vd0VhFA9m3SM",
			"SHA256:FC73VB6C4OQLSCrjEayhMp9UMxS97caD/Yyi2bhW/J0",
			"SHA256:46OSHA1Rmj8E8ERTC6xkNcmGOw9oFxYr0WF6zWW8l1E",
		},
		"ssh.dev.azure.com:22": {"SHA256:ohD8VZEXGWo6Ez8GSEJQ9WpafgLFsOfLOtGGQCQo6Og"},
		"codeberg.org:22": {
			"SHA256:mIlxA9k46MmM6qdJOdMnAQpzGxF4WIVVL+fj+wZbw0g",
			"SHA256:T9FYDEHELhVkulEKKwge5aVhVTbqCW0MIRwAfpARs/E",
			"SHA256:6QQmYi4ppFS4/+zSZ5S4IU+4sa6rwvQ4PbhCtPEBekQ",
		},
	}
	count := 0
	for hostPort, want := range fingerprints {
		var got []string
		for _, line := range published.For(hostPort) {
			got = append(got, line.Fingerprint())
		}
		g.Expect(got).To(Equal(want), hostPort)
		count += len(got)
	}
	g.Expect(published).To(HaveLen(count), "each key is compared")
}

func TestFindHostKeys(t *testing.T) {
	for name, tc := range map[string]struct {
		url, configured, stored string
		want                    string
		origin                  HostKeyOrigin
	}{
		"configured before stored and published": {
			url: "ssh://git@github.com/o/r", configured: "github.com " + keyB + "\n", stored: "github.com " + keyA,
			want: "github.com " + keyB + "\n", origin: OriginConfigured,
		},
		"stored before published": {
			url: "ssh://git@github.com/o/r", stored: "gitlab.com " + keyA + "\ngithub.com " + keyB,
			want: "github.com " + keyB + "\n", origin: OriginSecret,
		},
		"published": {
			url: "ssh://git@ssh.dev.azure.com/v3/o/p/r", stored: "nonsense\nexample.org " + keyA,
			want: published.For("ssh.dev.azure.com:22").String(), origin: OriginPublished,
		},
		"published, but one key is revoked in the Secret": {
			url: "ssh://git@github.com/o/r", stored: "@revoked * " + keyA,
			want: published.For("github.com:22")[1:].String(), origin: OriginPublished,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			stored, _ := knownhosts.Parse(tc.stored)
			repository := &fluxv1alpha1.Repository{URL: tc.url, Type: fluxv1alpha1.RepositoryPrivate, KnownHosts: tc.configured}
			found, err := findHostKeys(newScanner(noDial), namespace, repository, nil, stored)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(found.lines.String()).To(Equal(tc.want))
			g.Expect(found.origin).To(Equal(tc.origin))
		})
	}
}

// TestPublishedOnlyForTheirPort: what listens at another port of a forge's name is another server.
func TestPublishedOnlyForTheirPort(t *testing.T) {
	g := NewWithT(t)
	repository := &fluxv1alpha1.Repository{URL: "ssh://git@github.com:2222/o/r", Type: fluxv1alpha1.RepositoryPrivate}
	_, err := findEventually(g, newScanner(noDial), repository, nil, nil)
	g.Expect(err).To(MatchError("could not ask github.com:2222 for its SSH host key: must not be asked; check key repositoryUrl of " +
		"ConfigMap flux-config and whether the seed reaches the host, or write the host's known_hosts lines into key knownHosts of ConfigMap flux-config"))
	_, err = findEventually(g, newScanner(noDial), repository, project.Origins{project.FieldURL: "overrides[0]", project.FieldKnownHosts: project.OriginProject}, nil)
	g.Expect(err).To(MatchError(HaveSuffix("; check repository.url in overrides[0] of ConfigMap flux-config and whether the seed reaches the host, " +
		"or write the host's known_hosts lines into repository.knownHosts in overrides[0] of ConfigMap flux-config")))
}

func TestAppendHostKeys(t *testing.T) {
	for name, tc := range map[string]struct{ stored, want string }{
		"empty":                        {"", ""},
		"other host, no line end":      {"# ours\nexample.com " + keyB, "# ours\nexample.com " + keyB + "\n"},
		"others' line ends stay":       {"# ours\r\nexample.com " + keyB + "\r\n", "# ours\r\nexample.com " + keyB + "\r\n"},
		"unreadable and revoked stay":  {"nonsense\n@revoked * " + keyB + "\n", "nonsense\n@revoked * " + keyB + "\n"},
		"another port, another server": {"[example.org]:2222 " + keyB + "\n", "[example.org]:2222 " + keyB + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			lines, errs := knownhosts.Parse("example.org " + keyA)
			g.Expect(errs).To(BeEmpty())
			g.Expect(appendHostKeys(tc.stored, lines)).To(Equal(tc.want + "example.org " + keyA + "\n"))
		})
	}
}

// TestConfiguredHostKeysStayOutOfTheSecret: what is written for one shoot says nothing to the others of the project, and two that differ don't
// write over each other's for ever. Each gets its own, nobody else does, and the server is not asked.
func TestConfiguredHostKeysStayOutOfTheSecret(t *testing.T) {
	for name, stored := range map[string]string{
		"nothing is stored": "", "of another host": "example.com " + keyA + "\n", "another key of the host": "github.com " + keyA + "\n", "the same key": "github.com " + keyB + "\n",
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			identity, identityPub := openSSHIdentity(t, "")
			secret := &corev1.Secret{Data: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub}}
			if stored != "" {
				secret.Data[KeyKnownHosts] = []byte(stored)
			}
			repository := fluxv1alpha1.Repository{URL: "ssh://git@github.com/o/r", Type: fluxv1alpha1.RepositoryPrivate}
			of := func(knownHosts string) (*Credentials, map[string][]byte) {
				repository := repository
				repository.KnownHosts = knownHosts
				completion := completion{scanner: newScanner(noDial), namespace: namespace, repository: &repository}
				credentials, missing, err := completion.of(secret)
				g.Expect(err).NotTo(HaveOccurred())
				return credentials, missing
			}
			for _, configured := range []string{"github.com " + keyA + "\n", "github.com " + keyB + "\n"} {
				credentials, missing := of(configured)
				g.Expect(missing).To(BeEmpty())
				g.Expect(string(credentials.SecretRef.Data[KeyKnownHosts])).To(Equal(configured))
				g.Expect(credentials.HostKeys).To(ConsistOf(HaveField("Origin", OriginConfigured)))
			}

			// Who configures nothing has what the Secret holds, which may be what an earlier release wrote down as configured.
			want := cmp.Or(stored, published.For("github.com:22").String())
			if name == "of another host" {
				want = published.For("github.com:22").String()
			}
			credentials, _ := of("")
			g.Expect(string(credentials.SecretRef.Data[KeyKnownHosts])).To(Equal(want))
		})
	}
}

// TestNoRoomForHostKeys: known_hosts data that is too long could be read by no shoot of the project. So only the shoot that needs more is refused.
func TestNoRoomForHostKeys(t *testing.T) {
	g := NewWithT(t)
	identity, identityPub := openSSHIdentity(t, "")
	full := strings.Repeat("example.com "+keyA+"\n", knownhosts.MaxLength/len("example.com "+keyA+"\n"))
	secret := &corev1.Secret{Data: map[string][]byte{KeyIdentity: identity, KeyIdentityPub: identityPub, KeyKnownHosts: []byte(full)}}
	of := func(url, knownHosts string) (map[string][]byte, error) {
		repository := &fluxv1alpha1.Repository{URL: url, Type: fluxv1alpha1.RepositoryPrivate, KnownHosts: knownHosts}
		completion := completion{scanner: newScanner(noDial), namespace: namespace, repository: repository}
		_, missing, err := completion.of(secret)
		return missing, err
	}
	_, err := of("ssh://git@github.com/o/r", "")
	g.Expect(err).To(MatchError("key known_hosts has no room for the lines of github.com:22: remove those of servers that are not used any more, " +
		"or write the server's lines into key knownHosts of ConfigMap flux-config"))
	g.Expect(of("ssh://git@github.com/o/r", "github.com "+keyA+"\n")).To(BeEmpty())
	g.Expect(of("ssh://git@example.com/o/r", "")).To(BeEmpty(), "the lines that are there are as good as before")
}

// TestDescribedHostKeys: their number does not grow with what an admin writes.
func TestDescribedHostKeys(t *testing.T) {
	lines, _ := knownhosts.Parse(strings.Repeat("example.org "+keyA+"\n", 500))
	NewWithT(t).Expect(hostKeys{lines, OriginSecret}.describe()).To(HaveLen(1))
}
