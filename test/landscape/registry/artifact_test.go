// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package registry_test

import (
	"bytes"
	"io"
	"testing"
	"testing/fstest"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/registry"
)

func content(text string) registry.Artifact {
	return registry.Artifact{Files: fstest.MapFS{"apps/a.yaml": {Data: []byte(text), Mode: 0o644}}, Source: "https://git.example.org/team/fleet", Revision: "main@sha1:1"}
}

// TestPush has a tag move, and looks at what is pushed.
func TestPush(t *testing.T) {
	g := NewWithT(t)
	r := start(t)
	options := []remote.Option{remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r)}
	g.Expect(r.URL("team/fleet")).To(Equal("oci://" + r.Host + "/team/fleet"))
	reference, err := name.NewTag(r.Host + "/team/fleet:v1")
	g.Expect(err).NotTo(HaveOccurred())
	pushed := func() string {
		descriptor, err := remote.Head(reference, options...)
		g.Expect(err).NotTo(HaveOccurred())
		return descriptor.Digest.String()
	}

	first, err := r.Push(t.Context(), "team/fleet", "v1", content("a"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(pushed()).To(Equal(first))
	second, err := r.Push(t.Context(), "team/fleet", "v1", content("b"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(second).NotTo(Equal(first))
	g.Expect(pushed()).To(Equal(second))
	g.Expect(r.Tag(t.Context(), "team/fleet", first, "v1")).To(Succeed())
	g.Expect(pushed()).To(Equal(first))
	g.Expect(r.Tag(t.Context(), "team/other", first, "v1")).To(MatchError(ContainSubstring("getting artifact " + r.Host + "/team/other@sha256:")))

	image, err := remote.Image(reference, options...)
	g.Expect(err).NotTo(HaveOccurred())
	manifest, err := image.Manifest()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(manifest.MediaType).To(BeEquivalentTo("application/vnd.oci.image.manifest.v1+json"))
	g.Expect(manifest.Config.MediaType).To(BeEquivalentTo("application/vnd.cncf.flux.config.v1+json"))
	g.Expect(manifest.Layers).To(ConsistOf(HaveField("MediaType", BeEquivalentTo("application/vnd.cncf.flux.content.v1.tar+gzip"))))
	g.Expect(manifest.Annotations).To(And(HaveKey("org.opencontainers.image.created"), HaveKeyWithValue("org.opencontainers.image.revision", "main@sha1:1")))
	layers, err := image.Layers()
	g.Expect(err).NotTo(HaveOccurred())
	layer, err := layers[0].Uncompressed()
	g.Expect(err).NotTo(HaveOccurred())
	unpacked, err := io.ReadAll(layer)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(bytes.HasPrefix(unpacked, []byte("apps/"))).To(BeTrue())
}

// TestChangePassword has credentials expire.
func TestChangePassword(t *testing.T) {
	g := NewWithT(t)
	r := start(t)
	_, err := r.Push(t.Context(), "team/fleet", "v1", content("a"))
	g.Expect(err).NotTo(HaveOccurred())
	reference, err := name.NewTag(r.Host + "/team/fleet:v1")
	g.Expect(err).NotTo(HaveOccurred())
	old, err := r.Resolve(reference.Registry)
	g.Expect(err).NotTo(HaveOccurred())
	oldSecret, err := r.PullSecret()
	g.Expect(err).NotTo(HaveOccurred())

	g.Expect(r.ChangePassword()).To(Succeed())
	_, err = remote.Head(reference, remote.WithTransport(r.Transport()), remote.WithAuth(old))
	g.Expect(err).To(MatchError(ContainSubstring("401")))
	_, err = remote.Head(reference, remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(r.PullSecret()).NotTo(Equal(oldSecret))
}

// TestSign looks at where cosign puts its signatures. That Flux verifies them shows package fluxcontrollers.
func TestSign(t *testing.T) {
	g := NewWithT(t)
	r := start(t)
	bin, err := process.FindBinaries()
	g.Expect(err).NotTo(HaveOccurred())
	key, err := registry.NewSigningKey(t.Context(), bin, t.TempDir())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(key.PublicKey)).To(HavePrefix("-----BEGIN PUBLIC KEY-----\n"))
	for format, want := range map[registry.Format]string{registry.Bundle: `^sha256-[0-9a-f]{64}$`, registry.Tagged: `^sha256-[0-9a-f]{64}\.sig$`} {
		repository := "team/" + string(format)
		digest, err := r.Push(t.Context(), repository, "v1", content("a"))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(key.Sign(t.Context(), r, repository, digest, format)).To(Succeed())
		target, err := name.NewRepository(r.Host + "/" + repository)
		g.Expect(err).NotTo(HaveOccurred())
		tags, err := remote.List(target, remote.WithTransport(r.Transport()), remote.WithAuthFromKeychain(r))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(tags).To(ConsistOf(Equal("v1"), MatchRegexp(want)))
	}
	g.Expect(key.Sign(t.Context(), r, "team/none", "sha256:"+"0", registry.Bundle)).To(MatchError(HavePrefix("cosign sign: exit status 1: ")))
}
