// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package app

import (
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"github.com/spf13/pflag"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

const pullSecret = `{"auths": {"registry.example.org": {"auth": "dXNlcjpub3QtYS1yZWFsLXBhc3N3b3Jk"}}}`

func parseImages(g Gomega, args ...string) *images {
	images, flags := &images{}, pflag.NewFlagSet("", pflag.ContinueOnError)
	images.addFlags(flags)
	g.Expect(flags.Parse(args)).To(Succeed())
	return images
}

func write(g Gomega, file, content string) {
	g.Expect(os.WriteFile(file, []byte(content), 0o600)).To(Succeed())
}

func TestImages(t *testing.T) {
	g := NewWithT(t)
	images := parseImages(g)
	g.Expect(images.complete()).To(Succeed())
	g.Expect(images.read()).To(Equal(render.Images{}))

	file := filepath.Join(t.TempDir(), "config.json")
	write(g, file, pullSecret)
	images = parseImages(g, "--flux-image-registry=registry.example.org/mirror", "--flux-image-pull-secret-file="+file)
	g.Expect(images.complete()).To(Succeed())
	g.Expect(images.read()).To(Equal(render.Images{Registry: "registry.example.org/mirror", PullSecret: []byte(pullSecret)}))
}

// kubelet puts a rotated Secret into the running pod. A bad one is told from then on, until it is repaired.
func TestRotatedPullSecret(t *testing.T) {
	g := NewWithT(t)
	file := filepath.Join(t.TempDir(), "config.json")
	write(g, file, pullSecret)
	images := parseImages(g, "--flux-image-pull-secret-file="+file)
	g.Expect(images.complete()).To(Succeed())

	const rotated = `{"auths": {"registry.example.org": {"auth": "b3RoZXI="}}}`
	write(g, file, rotated)
	g.Expect(images.read()).To(HaveField("PullSecret", BeEquivalentTo(rotated)))

	write(g, file, "not-a-real-password")
	_, err := images.read()
	g.Expect(err).To(MatchError(And(HavePrefix("--flux-image-pull-secret-file "+file+": the pull secret is not the content of a .dockerconfigjson: "),
		Not(ContainSubstring("not-a-real-password")))))

	write(g, file, pullSecret)
	g.Expect(images.read()).To(HaveField("PullSecret", BeEquivalentTo(pullSecret)))
}

func TestUnusableImages(t *testing.T) {
	missing := filepath.Join(t.TempDir(), "missing.json")
	for name, test := range map[string]struct{ arg, error string }{
		"registry": {"--flux-image-registry=https://registry.example.org", `--flux-image-registry: the image registry "https://registry.example.org" is not one: `},
		"file":     {"--flux-image-pull-secret-file=" + missing, "--flux-image-pull-secret-file: failed to read the pull secret for Flux's images: open " + missing},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(parseImages(g, test.arg).complete()).To(MatchError(HavePrefix(test.error)))

			// The command line as a whole refuses it, too.
			options, flags := newOptions(), pflag.NewFlagSet("", pflag.ContinueOnError)
			options.addFlags(flags)
			g.Expect(flags.Parse([]string{test.arg})).To(Succeed())
			g.Expect(options.images.complete()).To(MatchError(HavePrefix(test.error)))
		})
	}
}
