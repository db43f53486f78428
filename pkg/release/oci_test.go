// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

const (
	repositoryPath = "fluxcd/flux-manifests"
	manifestPath   = "/v2/" + repositoryPath + "/manifests/" + testVersion
	tagsPath       = "/v2/" + repositoryPath + "/tags/list"

	contentMediaType types.MediaType = "application/vnd.cncf.flux.content.v1.tar+gzip"
	maxTags          int             = 10_000
)

// ociServer is an OCI registry over HTTPS beside a release server. A test can replace what a path of it answers.
type ociServer struct {
	*releaseServer
	releases   *releaseServer
	repository name.Repository
}

func newOCIServer(t testing.TB) *ociServer {
	t.Helper()
	g := NewWithT(t)
	server := &ociServer{releaseServer: &releaseServer{answers: map[string]http.HandlerFunc{}}, releases: newReleaseServer(t, (*httptest.Server).StartTLS)}
	server.fallback = registry.New(registry.Logger(log.New(io.Discard, "", 0)))
	server.Server = httptest.NewUnstartedServer(http.HandlerFunc(server.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	server.embedded, server.all = server.releases.embedded, server.releases.all
	var err error
	server.repository, err = name.NewRepository(server.Listener.Addr().String() + "/" + repositoryPath)
	g.Expect(err).NotTo(HaveOccurred())
	return server
}

// push tags an image, and returns its digest.
func (s *ociServer) push(t testing.TB, tag string, image v1.Image) string {
	t.Helper()
	g := NewWithT(t)
	g.Expect(remote.Write(s.repository.Tag(tag), image, remote.WithTransport(s.Client().Transport))).To(Succeed())
	digest, err := image.Digest()
	g.Expect(err).NotTo(HaveOccurred())
	return digest.String()
}

// catalogue returns a catalogue that takes its releases from both servers. Both have the same certificate.
func (s *ociServer) catalogue(t testing.TB, options Options) *Catalogue {
	t.Helper()
	options.OCIRepository = "oci://" + s.repository.Name()
	return s.releases.catalogue(t, options)
}

// artifact is what flux push artifact makes.
func artifact(t testing.TB, mediaType types.MediaType, layers ...[]byte) v1.Image {
	t.Helper()
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.flux.config.v1+json")
	for _, layer := range layers {
		var err error
		image, err = mutate.Append(image, mutate.Addendum{Layer: static.NewLayer(layer, mediaType)})
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
	}
	return image
}

// layer is an archive as flux push artifact makes it of a directory.
func layer(t testing.TB, manifests []byte) []byte {
	return releasetest.Tarball(t, releasetest.Special(".", tar.TypeDir, ""), releasetest.File(export.File, string(manifests)))
}

func TestOCIRepository(t *testing.T) {
	all := releasetest.Manifests(t, testVersion, releasetest.Everything)
	for name, entries := range map[string][]releasetest.Entry{
		"a directory":               {releasetest.Special(".", tar.TypeDir, ""), releasetest.File(export.File, string(all)), releasetest.File("README.md", "Flux")},
		"a directory with its name": {releasetest.Special("./flux-system", tar.TypeDir, ""), releasetest.File("flux-system/"+export.File, string(all))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newOCIServer(t)
			digest := server.push(t, testVersion, artifact(t, contentMediaType, releasetest.Tarball(t, entries...)))
			catalogue := server.catalogue(t, Options{})

			release, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(release.Version).To(Equal(testVersion))
			g.Expect(release.Origin).To(Equal("oci"))
			g.Expect(release.Source).To(Equal(server.repository.Name() + ":v2.9.99@" + digest))
			g.Expect(string(release.Manifests)).To(Equal(string(releasetest.Manifests(t, testVersion, nil))))
			g.Expect(server.releases.seen()).To(BeEmpty())
			g.Expect(catalogue.Stats()).To(Equal(Stats{Downloads: 1, Kept: 1, KeptBytes: release.size()}))

			again, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(again).To(BeIdenticalTo(release))
		})
	}
}

func TestOCIRepositoryWithoutTheVersion(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	server.push(t, "v2.9.98", artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, "v2.9.98", nil))))
	catalogue := server.catalogue(t, Options{})

	release, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(release.Origin).To(Equal("downloaded"), "the release server is asked next")

	_, err = catalogue.Get(t.Context(), "v9.9.9")
	g.Expect(err).To(MatchError(fluxversion.ErrVersionNotFound))
	g.Expect(err).To(MatchError(HavePrefix(fmt.Sprintf("Flux version v9.9.9 does not exist (%s:v9.9.9 answered 404 Not Found; "+
		"%s/download/v9.9.9/flux_9.9.9_checksums.txt answered 404 Not Found), ", server.repository.Name(), server.releases.URL))))
}

func TestOCIFailures(t *testing.T) {
	good := releasetest.Manifests(t, testVersion, nil)
	goodLayer := layer(t, good)
	plain := httptest.NewServer(content(goodLayer))
	t.Cleanup(plain.Close)
	big := make([]byte, 2<<20)
	const notOurs = "REFERENCE is not what flux push artifact makes: it does not have one layer application/vnd.cncf.flux.content.v1.tar+gzip"

	for name, test := range map[string]struct {
		image   func(t testing.TB) v1.Image
		answers map[string]http.HandlerFunc
		layer   http.HandlerFunc
		options Options
		// refused tells whether it is to be ErrReleaseRefused rather than ErrServerUnreachable.
		refused  bool
		sentence string
	}{
		"unauthorised": {
			answers:  map[string]http.HandlerFunc{manifestPath: code(401)},
			sentence: "TAG answered 401 Unauthorized; credentials for it belong into config.json in the directory $DOCKER_CONFIG",
		},
		"forbidden": {
			answers:  map[string]http.HandlerFunc{manifestPath: code(403)},
			sentence: "TAG answered 403 Forbidden; credentials for it belong into config.json in the directory $DOCKER_CONFIG",
		},
		"too many requests": {
			answers: map[string]http.HandlerFunc{manifestPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(http.StatusTooManyRequests)
			}},
			sentence: "TAG answered 429 Too Many Requests (Retry-After: 1h0m0s)",
		},
		"no registry": {
			answers:  map[string]http.HandlerFunc{"/v2/": code(500)},
			sentence: "TAG answered 500 Internal Server Error",
		},
		"its own words": {
			answers: map[string]http.HandlerFunc{manifestPath: func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusBadRequest)
				_, _ = io.WriteString(w, `{"errors":[{"code":"DENIED","message":"secret"}]}`)
			}},
			sentence: "TAG answered 400 Bad Request",
		},
		"redirect loop": {
			answers:  map[string]http.HandlerFunc{manifestPath: redirectTo(manifestPath + "?token=secret")},
			sentence: "TAG: it redirects more than 5 times",
		},
		"redirect to plain HTTP": {
			answers:  map[string]http.HandlerFunc{manifestPath: redirectTo(plain.URL + "/?token=secret")},
			sentence: "TAG: it redirects from https to http at " + strings.TrimPrefix(plain.URL, "http://") + ", which is not secure",
		},
		"not an artifact": {
			answers: map[string]http.HandlerFunc{manifestPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				_, _ = io.WriteString(w, "<html>")
			}},
			refused:  true,
			sentence: `is no OCI artifact, but has the media type "text/html"`,
		},
		"malformed manifest": {
			answers: map[string]http.HandlerFunc{manifestPath: func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", string(types.OCIManifestSchema1))
				_, _ = io.WriteString(w, "<html>")
			}},
			refused:  true,
			sentence: "is malformed: invalid character",
		},
		"huge manifest": {
			answers:  map[string]http.HandlerFunc{manifestPath: content(big)},
			options:  Options{Limits: download.Limits{MaxDownloadBytes: 1 << 20}},
			refused:  true,
			sentence: "TAG: it is bigger than 1048576 bytes",
		},
		"wrong media type": {
			image:    func(t testing.TB) v1.Image { return artifact(t, types.OCILayer, goodLayer) },
			refused:  true,
			sentence: notOurs,
		},
		"two layers": {
			image:    func(t testing.TB) v1.Image { return artifact(t, contentMediaType, goodLayer, layer(t, nil)) },
			refused:  true,
			sentence: notOurs,
		},
		"no layer": {
			image:    func(t testing.TB) v1.Image { return artifact(t, contentMediaType) },
			refused:  true,
			sentence: notOurs,
		},
		"huge layer": {
			image:    func(t testing.TB) v1.Image { return artifact(t, contentMediaType, big) },
			options:  Options{Limits: download.Limits{MaxDownloadBytes: 1 << 20}},
			refused:  true,
			sentence: "REFERENCE has a layer that can't be used: it is bigger than 1048576 bytes",
		},
		"layer is missing": {
			layer:    code(404),
			sentence: "REFERENCE: its layer answered 404 Not Found",
		},
		"another layer": {
			layer:    content(layer(t, []byte("a: 1"))),
			refused:  true,
			sentence: "REFERENCE: its layer: error verifying sha256 checksum after reading",
		},
		"layer with another content": {
			layer: func(w http.ResponseWriter, _ *http.Request) {
				other := append([]byte(nil), goodLayer...)
				other[len(other)/2]++
				_, _ = w.Write(other)
			},
			refused:  true,
			sentence: "REFERENCE: its layer: error verifying sha256 checksum after reading",
		},
		"more than the layer": {
			layer:    undeclared(big),
			options:  Options{Limits: download.Limits{MaxDownloadBytes: 1 << 20}},
			refused:  true,
			sentence: "REFERENCE: its layer: it is bigger than 1048576 bytes",
		},
		"layer is cut off": {
			layer:    cutOff(goodLayer),
			sentence: "REFERENCE: its layer: unexpected EOF",
		},
		"layer takes too long": {
			layer:    hang(nil),
			options:  Options{DownloadTimeout: 1_000_000_000},
			sentence: "no complete answer within 1s",
		},
		"no archive": {
			image:    func(t testing.TB) v1.Image { return artifact(t, contentMediaType, []byte("no gzip")) },
			refused:  true,
			sentence: "REFERENCE: unexpected EOF",
		},
		"decompression bomb": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, releasetest.Tarball(t, releasetest.File("bomb", releasetest.Zeros(4<<20)), releasetest.File(export.File, string(good))))
			},
			options:  Options{Limits: download.Limits{MaxUnpackedBytes: 2 << 20}},
			refused:  true,
			sentence: "REFERENCE: it is bigger than 2097152 bytes",
		},
		"path traversal": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, releasetest.Tarball(t, releasetest.File("../"+export.File, string(good))))
			},
			refused:  true,
			sentence: `REFERENCE: entry "../gotk-components.yaml" is not inside of it`,
		},
		"symbolic link": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, releasetest.Tarball(t, releasetest.Special(export.File, tar.TypeSymlink, "/etc/passwd")))
			},
			refused:  true,
			sentence: `REFERENCE: entry "gotk-components.yaml" is neither a plain file nor a directory`,
		},
		"no manifests": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, releasetest.Tarball(t, releasetest.File("install.yaml", string(good))))
			},
			refused:  true,
			sentence: "REFERENCE: it has no file gotk-components.yaml",
		},
		"manifests twice": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, releasetest.Tarball(t, releasetest.File(export.File, string(good)), releasetest.File("a/"+export.File, string(good))))
			},
			refused:  true,
			sentence: "REFERENCE: it has two files gotk-components.yaml",
		},
		"incomplete": {
			image:    func(t testing.TB) v1.Image { return artifact(t, contentMediaType, layer(t, []byte("a: 1"))) },
			refused:  true,
			sentence: "REFERENCE: its manifests have no ",
		},
		"another version": {
			image: func(t testing.TB) v1.Image {
				return artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, "v2.9.98", nil)))
			},
			refused:  true,
			sentence: "REFERENCE: Namespace flux-system is of Flux v2.9.98",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newOCIServer(t)
			server.releases.answer(checksumsPath, code(404))
			image := artifact(t, contentMediaType, goodLayer)
			if test.image != nil {
				image = test.image(t)
			}
			digest := server.push(t, testVersion, image)
			for path, answer := range test.answers {
				server.answer(path, answer)
			}
			if test.layer != nil {
				layers, err := image.Layers()
				g.Expect(err).NotTo(HaveOccurred())
				layerDigest, err := layers[0].Digest()
				g.Expect(err).NotTo(HaveOccurred())
				server.answer("/v2/"+repositoryPath+"/blobs/"+layerDigest.String(), test.layer)
			}

			_, err := server.catalogue(t, test.options).Get(t.Context(), testVersion)

			kind := ErrServerUnreachable
			if test.refused {
				kind = ErrReleaseRefused
			}
			g.Expect(err).To(MatchError(kind))
			tag := server.repository.Name() + ":" + testVersion
			sentence := strings.NewReplacer("REFERENCE", tag+"@"+digest, "TAG", tag).Replace(test.sentence)
			g.Expect(err).To(MatchError(And(
				ContainSubstring(sentence), ContainSubstring(server.releases.URL+checksumsPath+" answered 404 Not Found"),
				Not(ContainSubstring("secret")))))
		})
	}
}

func TestTransientFailuresOfRegistryAreRetried(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	server.push(t, testVersion, artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, testVersion, nil))))
	server.answer(manifestPath, times(2, code(503), server.fallback.ServeHTTP))
	catalogue := server.catalogue(t, Options{})
	pauses := recordPauses(catalogue)

	release, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(release.Origin).To(Equal("oci"))
	g.Expect(*pauses).To(HaveLen(2))
}

func TestRegistryWithCredentials(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	server.push(t, testVersion, artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, testVersion, nil))))
	open := server.fallback
	server.fallback = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, _ := r.BasicAuth(); user != "robot" || password != "hunter2" {
			w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		open.ServeHTTP(w, r)
	})
	server.releases.answer(checksumsPath, code(404))
	config := t.TempDir()
	t.Setenv("HOME", config)
	t.Setenv("DOCKER_CONFIG", config)

	write := func(password string) {
		credentials, err := json.Marshal(map[string]any{"auths": map[string]any{server.repository.RegistryStr(): map[string]string{"username": "robot", "password": password}}})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(os.WriteFile(filepath.Join(config, "config.json"), credentials, 0o600)).To(Succeed())
	}
	write("falsch")
	_, err := server.catalogue(t, Options{}).Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(And(ContainSubstring("answered 401 Unauthorized; credentials for it belong into config.json"), Not(ContainSubstring("falsch")))))
	write("hunter2")
	release, err := server.catalogue(t, Options{}).Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(release.Source).NotTo(ContainSubstring("hunter2"))
}

func TestRegistryWithUnknownCertificate(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	catalogue := newTestCatalogue(t, Options{OCIRepository: server.repository.Name(), BaseURL: server.releases.URL})
	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))
	g.Expect(err).To(MatchError(ContainSubstring(server.repository.Name() + ":v2.9.99: tls: failed to verify certificate: " +
		"x509: certificate signed by unknown authority; the operator can add its CA to the CA file for the Flux releases; ")))
}

func TestTagsOfRepository(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	image := artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, "v2.9.98", nil)))
	for _, tag := range []string{"v2.9.98", "v2.10.0-rc.1", "v0.36.77", "latest", "2.9.97", "sha256-abc.sig"} {
		server.push(t, tag, image)
	}
	catalogue := server.catalogue(t, Options{})

	for range 100 {
		choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "2.9.97 - 2.9.98"})
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v2.9.98"}))
	}
	g.Expect(catalogue.Stats().LookUps).To(BeEquivalentTo(2), "one of the tags, and one of the latest release")

	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "~0.36.77", Installed: "v0.36.77"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v0.36.77"}))
}

func TestTagsOfRepositoryFailures(t *testing.T) {
	tags := func(n int) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			_ = json.NewEncoder(w).Encode(remote.Tags{Tags: make([]string, n)})
		}
	}
	for name, test := range map[string]struct {
		answer  http.HandlerFunc
		options Options
		problem string
	}{
		"no repository":     {code(404), Options{}, "REPOSITORY answered 404 Not Found"},
		"forbidden":         {code(403), Options{}, "REPOSITORY answered 403 Forbidden; credentials for it belong into"},
		"unavailable":       {code(503), Options{}, "REPOSITORY answered 503 Service Unavailable"},
		"a page":            {content([]byte("<html>")), Options{}, "REPOSITORY: invalid character '<' looking for beginning of value"},
		"takes too long":    {hang(nil), Options{LookupTimeout: 2 * time.Second}, "REPOSITORY: no complete answer within 2s"},
		"too many":          {tags(maxTags + 1), Options{}, "REPOSITORY has more than 10000 tags"},
		"too much":          {content([]byte(`{"tags": ["` + strings.Repeat("x", 2<<20) + `"]}`)), Options{Limits: download.Limits{MaxDownloadBytes: 1 << 20}}, "REPOSITORY: it is bigger than 1048576 bytes"},
		"pages without end": {endless, Options{}, "REPOSITORY has more than 10000 tags"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newOCIServer(t)
			server.answer(tagsPath, test.answer)
			choice, err := server.catalogue(t, test.options).Choose(t.Context(), fluxversion.Request{Version: "2.x", Installed: testVersion})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(choice.Version).To(Equal(testVersion), "the server's latest release")
			g.Expect(choice.Warning).To(HavePrefix("Not all releases of Flux could be looked up: " + strings.ReplaceAll(test.problem, "REPOSITORY", server.repository.Name())))
			g.Expect(choice.Warning).To(HaveSuffix(`; v2.9.99 is the newest known one that satisfies "2.x"`))
		})
	}
}

// endless announces a next page on each page.
func endless(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Link", "<http://"+r.Host+tagsPath+`?last=x>; rel="next"`)
	_ = json.NewEncoder(w).Encode(remote.Tags{Tags: make([]string, 1000)})
}

func TestInvalidRepositories(t *testing.T) {
	for _, repository := range []string{"https://ghcr.io/fluxcd/flux-manifests", "ghcr.io/fluxcd/flux-manifests:v2.9.4", "ghcr.io/Flux", "flux"} {
		t.Run(repository, func(t *testing.T) {
			_, err := NewCatalogue(Options{OCIRepository: repository})
			NewWithT(t).Expect(err).To(MatchError(fmt.Sprintf(
				"the OCI repository of the Flux releases must look like ghcr.io/fluxcd/flux-manifests, without tag, but is %q", repository)))
		})
	}
}
