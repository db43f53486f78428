// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"archive/tar"
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// push makes an image of the files for this machine's platform, and one of nothing for another, and returns the reference to both.
func push(g Gomega, server *httptest.Server, config v1.Config, files ...tar.Header) string {
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	for _, header := range files {
		body := ""
		if header.Typeflag == tar.TypeReg {
			body = "content of " + header.Name
			header.Size = int64(len(body))
		}
		g.Expect(archive.WriteHeader(&header)).To(Succeed())
		_, err := io.WriteString(archive, body)
		g.Expect(err).NotTo(HaveOccurred())
	}
	g.Expect(archive.Close()).To(Succeed())
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content.Bytes())), nil })
	g.Expect(err).NotTo(HaveOccurred())
	image, err := mutate.AppendLayers(empty.Image, layer)
	g.Expect(err).NotTo(HaveOccurred())
	image, err = mutate.Config(image, config)
	g.Expect(err).NotTo(HaveOccurred())
	platform := func(architecture string) v1.Descriptor {
		return v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: architecture}}
	}
	index := mutate.AppendManifests(empty.Index,
		mutate.IndexAddendum{Add: empty.Image, Descriptor: platform("other")},
		mutate.IndexAddendum{Add: image, Descriptor: platform(runtime.GOARCH)})
	reference, err := name.ParseReference(strings.TrimPrefix(server.URL, "http://") + "/some/image:v1.2.3")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(remote.WriteIndex(reference, index)).To(Succeed())
	digest, err := index.Digest()
	g.Expect(err).NotTo(HaveOccurred())
	return reference.Context().Digest(digest.String()).String()
}

func podSpec(image string) corev1.PodSpec {
	return corev1.PodSpec{
		SecurityContext: &corev1.PodSecurityContext{RunAsNonRoot: new(true)},
		Containers:      []corev1.Container{{Name: "some", Image: image, Args: []string{"--flag"}, Env: []corev1.EnvVar{{Name: "OWN", Value: "own"}}}},
	}
}

// TestImage makes of an image a program with its files, user, entrypoint and environment.
func TestImage(t *testing.T) {
	g := NewWithT(t)
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	images := &Images{Transport: http.DefaultTransport, Keychain: authn.DefaultKeychain}
	reference := push(g, server, v1.Config{User: "65532:65533", Entrypoint: []string{"/some", "run"}, Env: []string{"PATH=/bin"}, WorkingDir: "/home"},
		tar.Header{Name: "some", Typeflag: tar.TypeReg, Mode: 0o755},
		tar.Header{Name: "etc/ssl/certs/ca.crt", Typeflag: tar.TypeReg, Mode: 0o644},
		tar.Header{Name: "home", Typeflag: tar.TypeDir, Mode: 0o700},
		tar.Header{Name: "also", Typeflag: tar.TypeSymlink, Linkname: "/some"},
		tar.Header{Name: "again", Typeflag: tar.TypeLink, Linkname: "some", Mode: 0o755},
	)
	dir := filepath.Join(t.TempDir(), "pods", "there", "some")
	g.Expect(os.MkdirAll(filepath.Join(dir, "old"), 0o700)).To(Succeed())
	image, err := images.unpack(t.Context(), podSpec(reference), "some", dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(filepath.Join(dir, "old")).NotTo(BeADirectory())
	g.Expect(os.ReadFile(filepath.Join(dir, "etc/ssl/certs/ca.crt"))).To(BeEquivalentTo("content of etc/ssl/certs/ca.crt"))
	g.Expect(os.ReadFile(filepath.Join(dir, "again"))).To(BeEquivalentTo("content of some"))
	g.Expect(os.Readlink(filepath.Join(dir, "also"))).To(Equal("/some"))
	g.Expect(os.ReadFile(filepath.Join(dir, "etc/hosts"))).To(BeEquivalentTo("127.0.0.1 localhost\n"))
	for file, mode := range map[string]os.FileMode{"some": 0o755, "home": 0o700 | os.ModeDir, "": 0o755 | os.ModeDir} {
		info, err := os.Stat(filepath.Join(dir, file))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(info.Mode()).To(Equal(mode), file)
	}

	mounted, err := (&Host{Dir: filepath.Dir(filepath.Dir(dir)), Contained: true}).Mount(t.Context(),
		Pod{Namespace: "there", Name: "some", Spec: withoutToken(podSpec(reference))}, "some")
	g.Expect(err).NotTo(HaveOccurred())
	program, err := image.program(mounted)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(program).To(Equal(process.Program{
		Path: "/some", Args: []string{"run", "--flag"}, Env: []string{"PATH=/bin", "OWN=own"}, WorkingDir: "/home",
		Container:   &process.Container{Root: dir, UID: 65532, GID: 65533},
		GracePeriod: 30 * time.Second,
	}))
}

func withoutToken(spec corev1.PodSpec) corev1.PodSpec {
	spec.AutomountServiceAccountToken = new(false)
	return spec
}

// TestImageErrors are images and pods that a node would not run.
func TestImageErrors(t *testing.T) {
	server := httptest.NewServer(registry.New())
	t.Cleanup(server.Close)
	for title, test := range map[string]struct {
		file     tar.Header
		user     string
		expected string
	}{
		"a file of a device":          {tar.Header{Name: "dev/null", Typeflag: tar.TypeChar}, "65532", "is of a type that an image of a program has no use for"},
		"a name outside":              {tar.Header{Name: "etc/x", Typeflag: tar.TypeReg, Mode: 0o644}, "nonroot", `has user "nonroot"`},
		"root, which the pod refuses": {tar.Header{Name: "etc/x", Typeflag: tar.TypeReg, Mode: 0o644}, "", "would run as root, and the pod has runAsNonRoot"},
	} {
		t.Run(title, func(t *testing.T) {
			g := NewWithT(t)
			images := &Images{Transport: http.DefaultTransport, Keychain: authn.DefaultKeychain}
			reference := push(g, server, v1.Config{User: test.user, Entrypoint: []string{"/some"}}, test.file)
			dir := filepath.Join(t.TempDir(), "there", "some")
			image, err := images.unpack(t.Context(), podSpec(reference), "some", dir)
			if err == nil {
				_, err = image.user(podSpec(reference).SecurityContext)
			}
			g.Expect(err).To(MatchError(ContainSubstring(test.expected)))
		})
	}
}

// TestExtractStaysInside writes nothing outside of the container's directory, whatever an image has.
func TestExtractStaysInside(t *testing.T) {
	g := NewWithT(t)
	outside := t.TempDir()
	var content bytes.Buffer
	archive := tar.NewWriter(&content)
	g.Expect(archive.WriteHeader(&tar.Header{Name: "way", Typeflag: tar.TypeSymlink, Linkname: outside})).To(Succeed())
	g.Expect(archive.WriteHeader(&tar.Header{Name: "way/file", Typeflag: tar.TypeReg, Mode: 0o644})).To(Succeed())
	g.Expect(archive.Close()).To(Succeed())
	g.Expect(extract(&content, filepath.Join(t.TempDir(), "there", "some"))).To(MatchError(ContainSubstring("escapes")))
	g.Expect(os.ReadDir(outside)).To(BeEmpty())
}
