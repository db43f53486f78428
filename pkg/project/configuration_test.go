// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/validation"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func TestHostPort(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/repo":       "example.org:443",
		"http://example.org/repo":        "example.org:80",
		"ssh://git@example.org/repo":     "example.org:22",
		"ssh://git@example.org:2222/r":   "example.org:2222",
		"https://[2001:db8::1]/repo":     "[2001:db8::1]:443",
		"git@example.org:owner/repo.git": "example.org:22",
		"ftp://example.org/repo":         "",
	} {
		t.Run(url, func(t *testing.T) {
			NewWithT(t).Expect((&Repository{URL: url}).HostPort()).To(Equal(want))
		})
	}
}

// TestTyped is what a source of configuration other than the ConfigMap does.
func TestTyped(t *testing.T) {
	g := NewWithT(t)
	config := &Configuration{FluxVersion: "2.9.4", Repository: &Repository{URL: "git@example.org:owner/repo", Private: true, Path: "a/"}}
	config.Default()
	g.Expect(config.Validate()).To(BeEmpty())
	g.Expect(config).To(Equal(&Configuration{FluxVersion: "v2.9.4", Repository: &Repository{
		URL: "ssh://git@example.org/owner/repo", Branch: "main", Path: "./a", Private: true,
	}, Installation: fluxv1alpha1.InstallationManaged, RemovalPolicy: fluxv1alpha1.RemovalKeepWorkloads}))

	config.Repository.Private = false
	config.FluxVersion = "newest"
	g.Expect(config.Validate()).To(HaveLen(2))
}

func TestDigest(t *testing.T) {
	g := NewWithT(t)
	digest := func(data map[string]string) string {
		config, err := parse(data)
		g.Expect(err).NotTo(HaveOccurred())
		return config.Digest()
	}
	url := "https://example.org/repo"
	one := digest(map[string]string{"repositoryUrl": url})
	g.Expect(digest(map[string]string{"repositoryUrl": url + "\n", "repositoryBranch": "main", "fluxVersion": "latest"})).To(Equal(one), "only written differently")
	g.Expect(digest(map[string]string{"repositoryUrl": url, "repositoryBranch": "next"})).NotTo(Equal(one))
	g.Expect(digest(map[string]string{"repositoryUrl": url, "fluxVersion": "2.9.4"})).NotTo(Equal(one))
	g.Expect(digest(nil)).NotTo(Equal(one))
	g.Expect(digest(map[string]string{"installation": "once"})).NotTo(Equal(digest(nil)))
	g.Expect(digest(map[string]string{"removalPolicy": "keep-flux"})).NotTo(Equal(digest(nil)))
	g.Expect(digest(map[string]string{"installation": "managed", "removalPolicy": "keep-workloads"})).To(Equal(digest(nil)))
	g.Expect(validation.IsValidLabelValue(one)).To(BeEmpty())
}

// TestDigestStays has digests of before the latest fields existed: shoots must not be reconciled because the extension is
// upgraded.
func TestDigestStays(t *testing.T) {
	g := NewWithT(t)
	for want, data := range map[string]map[string]string{
		"f065d80f2d128c96c6d983107a5f9cee9672d83224fe16c44e8ea8b2": nil,
		"ece075a71f9244e97cce4432177a58523a647f06a131c229661689d8": {"fluxVersion": "v2.9.4", "repositoryUrl": "https://example.org/repo"},
	} {
		config, err := parse(data)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(config.Digest()).To(Equal(want))
	}
}

func TestOverride(t *testing.T) {
	g := NewWithT(t)
	config, err := parse(map[string]string{"fluxVersion": "v2.9.4", "removalPolicy": "keep-flux"})
	g.Expect(err).NotTo(HaveOccurred())
	project := *config

	config.Override(&fluxv1alpha1.FluxConfig{})
	g.Expect(*config).To(Equal(project))

	config.Override(&fluxv1alpha1.FluxConfig{RemovalPolicy: fluxv1alpha1.RemovalDeleteWorkloads, Installation: fluxv1alpha1.InstallationOnce})
	g.Expect(config.Validate()).To(BeEmpty())
	g.Expect(config.RemovalPolicy).To(Equal(fluxv1alpha1.RemovalDeleteWorkloads))
	g.Expect(config.Installation).To(Equal(fluxv1alpha1.InstallationOnce))
	g.Expect(config.FluxVersion).To(Equal("v2.9.4"))

	config.Override(&fluxv1alpha1.FluxConfig{Installation: "twice"})
	g.Expect(config.Validate().ToAggregate()).To(MatchError(`installation: Unsupported value: "twice": supported values: "managed", "once"`))
}
