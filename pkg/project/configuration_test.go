// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package project_test

import (
	"testing"

	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/util/validation"

	. "github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
)

func TestHostPort(t *testing.T) {
	for url, want := range map[string]string{
		"https://example.org/repo":       "example.org:443",
		"http://example.org/repo":        "example.org:80",
		"ssh://git@example.org/repo":     "example.org:22",
		"ssh://git@example.org:2222/r":   "example.org:2222",
		"ssh://git@[2001:db8::1]/repo":   "[2001:db8::1]:22",
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
	config := &Configuration{FluxVersion: "2.9.4", Repository: &Repository{URL: "git@example.org:repo", Private: true, Path: "a/"}}
	config.Default()
	g.Expect(config.Validate()).To(BeEmpty())
	g.Expect(config).To(Equal(&Configuration{FluxVersion: "v2.9.4", Repository: &Repository{
		URL: "ssh://git@example.org/repo", Branch: "main", Path: "./a", Private: true,
	}}))

	config.Repository.Private = false
	config.FluxVersion = "newest"
	g.Expect(config.Validate()).To(HaveLen(2))
}

func TestDigest(t *testing.T) {
	g := NewWithT(t)
	digest := func(data map[string]string) string {
		config, err := Parse(data)
		g.Expect(err).NotTo(HaveOccurred())
		return config.Digest()
	}
	url := "https://example.org/repo"
	one := digest(map[string]string{"repositoryUrl": url})
	g.Expect(digest(map[string]string{"repositoryUrl": url + "\n", "repositoryBranch": "main", "fluxVersion": "latest"})).To(Equal(one), "only written differently")
	g.Expect(digest(map[string]string{"repositoryUrl": url, "repositoryBranch": "next"})).NotTo(Equal(one))
	g.Expect(digest(map[string]string{"repositoryUrl": url, "fluxVersion": "2.9.4"})).NotTo(Equal(one))
	g.Expect(digest(nil)).NotTo(Equal(one))
	g.Expect(validation.IsValidLabelValue(one)).To(BeEmpty())
}
