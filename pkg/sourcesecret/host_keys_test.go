// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

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

func TestMergeKnownHosts(t *testing.T) {
	for name, tc := range map[string]struct{ stored, wanted, want string }{
		"empty":                        {"", "example.org " + keyA, "example.org " + keyA + "\n"},
		"complete stays byte by byte":  {"# ours\r\nexample.org " + keyA + " a comment", "example.org " + keyA, "# ours\r\nexample.org " + keyA + " a comment"},
		"other host, no line end":      {"# ours\nexample.com " + keyB, "example.org " + keyA, "# ours\nexample.com " + keyB + "\nexample.org " + keyA + "\n"},
		"other key of the host goes":   {"example.org " + keyB + "\nexample.com " + keyB + "\n", "example.org " + keyA, "example.com " + keyB + "\nexample.org " + keyA + "\n"},
		"additional key of the host":   {"example.org " + keyA + "\nexample.org " + keyB + "\n", "example.org " + keyA, "example.org " + keyA + "\n"},
		"unreadable and revoked stay":  {"nonsense\n@revoked * " + keyB + "\n", "example.org " + keyA, "nonsense\n@revoked * " + keyB + "\nexample.org " + keyA + "\n"},
		"other port is another server": {"[example.org]:2222 " + keyB + "\n", "example.org " + keyA, "[example.org]:2222 " + keyB + "\nexample.org " + keyA + "\n"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			wanted, errs := knownhosts.Parse(tc.wanted)
			g.Expect(errs).To(BeEmpty())
			merged := mergeKnownHosts(tc.stored, "example.org:22", wanted)
			g.Expect(merged).To(Equal(tc.want))
			g.Expect(mergeKnownHosts(merged, "example.org:22", wanted)).To(Equal(merged), "nothing to do the second time")
		})
	}
}

// TestDescribedHostKeys: their number does not grow with what an admin writes.
func TestDescribedHostKeys(t *testing.T) {
	lines, _ := knownhosts.Parse(strings.Repeat("example.org "+keyA+"\n", 500))
	NewWithT(t).Expect(hostKeys{lines, OriginSecret}.describe()).To(HaveLen(1))
}
