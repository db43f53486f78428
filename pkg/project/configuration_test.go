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
			NewWithT(t).Expect(HostPort(url)).To(Equal(want))
		})
	}
}

// TestTyped is what a source of configuration other than the ConfigMap does.
func TestTyped(t *testing.T) {
	g := NewWithT(t)
	config := &fluxv1alpha1.FluxConfig{Flux: fluxv1alpha1.FluxInstallation{Version: "2.9.4"}, Repository: &fluxv1alpha1.Repository{URL: "git@example.org:owner/repo", Type: fluxv1alpha1.RepositoryPrivate, Path: "a/"}}
	SetDefaults(config)
	g.Expect(Validate(config)).To(BeEmpty())
	want := defaulted(&fluxv1alpha1.Repository{URL: "ssh://git@example.org/owner/repo", Branch: "main", Path: "./a", Type: fluxv1alpha1.RepositoryPrivate})
	want.Flux.Version = "v2.9.4"
	g.Expect(config).To(Equal(want))

	config.Repository.Type = fluxv1alpha1.RepositoryPublic
	config.Flux.Version = "newest"
	g.Expect(Validate(config)).To(HaveLen(2))
}

func TestDigest(t *testing.T) {
	g := NewWithT(t)
	digest := func(data map[string]string) string {
		config, err := parse(data)
		g.Expect(err).NotTo(HaveOccurred())
		return Digest(config)
	}
	url := "https://example.org/repo"
	one := digest(map[string]string{"repositoryUrl": url})
	g.Expect(digest(map[string]string{"repositoryUrl": url + "\n", "repositoryBranch": "main", "fluxVersion": "latest"})).To(Equal(one), "only written differently")
	g.Expect(digest(map[string]string{"repositoryUrl": url, "repositoryBranch": "next"})).NotTo(Equal(one))
	g.Expect(digest(map[string]string{"repositoryUrl": url, "fluxVersion": "2.9.4"})).NotTo(Equal(one))
	g.Expect(digest(nil)).NotTo(Equal(one))
	for _, key := range Keys() {
		if key.Default != "" && !key.Repository {
			g.Expect(digest(map[string]string{key.Name: key.Default})).To(Equal(digest(nil)), key.Name)
		}
	}
	g.Expect(validation.IsValidLabelValue(one)).To(BeEmpty())
}

// TestDigestOfEachField: whatever differs, the digests do.
func TestDigestOfEachField(t *testing.T) {
	g := NewWithT(t)
	digests := map[string]string{Digest(defaulted(&fluxv1alpha1.Repository{})): "the defaults", Digest(defaulted(nil)): "no repository"}
	g.Expect(digests).To(HaveLen(2))
	for _, key := range Keys() {
		config := defaulted(&fluxv1alpha1.Repository{})
		key.Set(config, otherThanDefault(key))
		g.Expect(digests).NotTo(HaveKey(Digest(config)), key.Name)
		digests[Digest(config)] = key.Name
	}
}

const digestOfNothing = "f065d80f2d128c96c6d983107a5f9cee9672d83224fe16c44e8ea8b2"

// TestDigestStays has digests that are stored in seeds: shoots must not be reconciled because the extension is upgraded. They never change,
// and need no addition when there is another key.
func TestDigestStays(t *testing.T) {
	for want, data := range map[string]map[string]string{
		digestOfNothing: nil,
		"ece075a71f9244e97cce4432177a58523a647f06a131c229661689d8": {"fluxVersion": "v2.9.4", "repositoryUrl": "https://example.org/repo"},
		"db872f7c6f58c800ac17f835ec1ecad0d0d27501b9d25e3608cc1337": {"repositoryUrl": httpsURL, "repositoryType": "public", "repositoryPath": "."},
		"5294210c0d352ec86ec48a91f0afe7dcb6b11a8613b6cb30a68ef54c": acceptedCases["comparison"].data,
		"e83087db4bed3ea852bb2a3c516974271381abcb18cdaa7cd2bed91a": {"fluxVersion": "v2.6.4", "allowDowngrade": "true"},
		"09e667804187998c054348770881e5ee83040553ec50547f3fc5b2f7": {"installation": "once"},
		"4aee7496146d264fb0b18aa15c823cfda646cd57f63be372029f9046": {"removalPolicy": "delete-workloads"},
		"f4c4fe4d958468100d6f863050d7da6b56a955f6574aa114148a981b": {"removalPolicy": "keep-flux"},
		"b76ac4a866738588dcbdcb533b173971e2ad2cded4cba757802a0b7b": {"repositoryUrl": "git@github.com:owner/repo.git", "repositoryType": "private"},
		"1b9319eae356823342c906ef1e169086dedbfab0fc9dfcc5ba73c8c9": acceptedCases["all keys"].data,
		"665cce702ef871e7536a5a901e94f65931b12ab2de452343c36e203a": {
			"fluxVersion": ">= 2.8.0, <2.10 || ^3.1", "allowDowngrade": "true", "repositoryUrl": sshURL, "repositoryBranch": "main", "repositoryType": "private",
			"repositoryPath": "./", "knownHosts": "git.example.org " + keyA, "installation": "once", "removalPolicy": "keep-flux",
		},
		"e9356205d245d1204bd0aa5fa43db281d71456b1f25b20b1425587fc": {
			"fluxVersion": ">= 2.8.0, <2.10 || ^3.1", "allowDowngrade": "true", "repositoryUrl": sshURL, "repositoryBranch": "a&b", "repositoryType": "private",
			"repositoryPath": "x/y", "installation": "once", "removalPolicy": "keep-flux",
		},
	} {
		t.Run(want, func(t *testing.T) {
			g := NewWithT(t)
			config, err := parse(data)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(Digest(config)).To(Equal(want))
		})
	}
}

// TestDigestOfAnotherKey: one that is not written, or has its default, is not among the values.
func TestDigestOfAnotherKey(t *testing.T) {
	g := NewWithT(t)
	g.Expect(DigestOf(map[string]string{}, false)).To(Equal(digestOfNothing))
	another := DigestOf(map[string]string{"another": "a"}, false)
	g.Expect(another).NotTo(Equal(digestOfNothing))
	g.Expect(DigestOf(map[string]string{"another": "b"}, false)).NotTo(Equal(another))
	g.Expect(DigestOf(map[string]string{"yetAnother": "a"}, false)).NotTo(Equal(another))
}

func TestOverride(t *testing.T) {
	g := NewWithT(t)
	config, err := parse(map[string]string{"fluxVersion": "v2.9.4", "removalPolicy": "keep-flux"})
	g.Expect(err).NotTo(HaveOccurred())
	project := config.DeepCopy()

	Override(config, &fluxv1alpha1.FluxConfig{})
	g.Expect(config).To(Equal(project))

	Override(config, &fluxv1alpha1.FluxConfig{RemovalPolicy: fluxv1alpha1.RemovalDeleteWorkloads, Installation: fluxv1alpha1.InstallationOnce})
	g.Expect(Validate(config)).To(BeEmpty())
	g.Expect(config.RemovalPolicy).To(Equal(fluxv1alpha1.RemovalDeleteWorkloads))
	g.Expect(config.Installation).To(Equal(fluxv1alpha1.InstallationOnce))
	g.Expect(config.Flux.Version).To(Equal("v2.9.4"))

	Override(config, &fluxv1alpha1.FluxConfig{Installation: "twice"})
	g.Expect(Validate(config).ToAggregate()).To(MatchError(`installation: Unsupported value: "twice": supported values: "managed", "once"`))
}
