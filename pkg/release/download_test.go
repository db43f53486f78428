// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"archive/tar"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

func TestDownload(t *testing.T) {
	for name, start := range map[string]func(*httptest.Server){
		"http":  (*httptest.Server).Start,
		"https": (*httptest.Server).StartTLS,
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, start)
			dir := t.TempDir()
			catalogue := server.catalogue(t, Options{TempDir: dir, render: renderIn(dir)})

			release, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(release.Version).To(Equal(testVersion))
			g.Expect(release.Origin).To(Equal("downloaded"))
			g.Expect(release.Source).To(Equal(server.URL + tarballPath))
			builtIn, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(string(release.Manifests)).To(Equal(strings.ReplaceAll(string(builtIn.Manifests), builtIn.Version, testVersion)))

			again, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(again).To(BeIdenticalTo(release))
			g.Expect(server.seen()).To(Equal([]string{"GET " + checksumsPath, "GET " + tarballPath}))

			left, err := os.ReadDir(dir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(BeEmpty(), "no temporary file is left")
		})
	}
}

func TestDownloadFollowsRedirects(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).StartTLS)
	tarball := releaseTarball(t)
	server.answer(tarballPath, redirectTo("/storage/1?token=secret"))
	server.answer("/storage/1", redirectTo("/storage/2"))
	server.answer("/storage/2", content(tarball))

	_, err := server.catalogue(t, Options{}).Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
}

// A server may say that a .tar.gz is a gzip-encoded .tar. The checksum is that of the .tar.gz all the same.
func TestDownloadIsNotDecompressedByTheTransport(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	tarball := releaseTarball(t)
	server.answer(tarballPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(tarball)
	})

	_, err := server.catalogue(t, Options{}).Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
}

func TestDownloadFailures(t *testing.T) {
	release := releasetest.Entries(t)
	good := releaseTarball(t)
	plain := httptest.NewServer(content(good))
	t.Cleanup(plain.Close)

	const (
		missing     = "Flux version v2.9.99 does not exist"
		unreachable = "Flux version v2.9.99 can't be downloaded"
		refused     = "Flux version v2.9.99 is refused"
	)
	for name, test := range map[string]struct {
		answers  map[string]http.HandlerFunc // by path
		tarball  []byte                      // in place of the good one, with its right checksum
		options  Options
		kind     error
		sentence string // see releaseServer.fill
	}{
		"version does not exist": {
			answers:  map[string]http.HandlerFunc{checksumsPath: code(404)},
			kind:     fluxversion.ErrVersionNotFound,
			sentence: missing + " (CHECKSUMS answered 404 Not Found), EMBEDDED for example does",
		},
		"tarball does not exist": {
			answers:  map[string]http.HandlerFunc{tarballPath: code(404)},
			kind:     fluxversion.ErrVersionNotFound,
			sentence: missing + " (TARBALL answered 404 Not Found)",
		},
		"rate limit": {
			answers: map[string]http.HandlerFunc{checksumsPath: code(403)},
			kind:    ErrServerUnreachable,
			sentence: unreachable + ": CHECKSUMS answered 403 Forbidden; the operator can configure a mirror of Flux's releases; " +
				"embedded versions need no download: ALL",
		},
		"server error": {
			answers:  map[string]http.HandlerFunc{tarballPath: code(500)},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL answered 500 Internal Server Error;",
		},
		"no content": {
			answers:  map[string]http.HandlerFunc{tarballPath: code(204)},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL answered 204 No Content;",
		},
		"no answer in time": {
			answers:  map[string]http.HandlerFunc{checksumsPath: func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
			options:  Options{DownloadTimeout: 50 * time.Millisecond},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": CHECKSUMS: no complete answer within 50ms;",
		},
		"half an answer in time": {
			answers:  map[string]http.HandlerFunc{tarballPath: hang(good[:1000])},
			options:  Options{DownloadTimeout: 5 * time.Second}, // the first answer must be there in time
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL: no complete answer within 5s;",
		},
		"cut off": {
			answers:  map[string]http.HandlerFunc{tarballPath: cutOff(good)},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL: unexpected EOF;",
		},
		"redirect loop": {
			answers:  map[string]http.HandlerFunc{tarballPath: redirectTo(tarballPath)},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL: it redirects more than 5 times;",
		},
		"redirect to plain HTTP": {
			answers: map[string]http.HandlerFunc{tarballPath: redirectTo(plain.URL + "/?token=secret")},
			kind:    ErrServerUnreachable,
			sentence: unreachable + ": TARBALL: it redirects from https to http at " + strings.TrimPrefix(plain.URL, "http://") +
				", which is not secure;",
		},
		"redirect to nowhere": {
			answers:  map[string]http.HandlerFunc{tarballPath: redirectTo("https://127.0.0.1:1/?token=secret")},
			kind:     ErrServerUnreachable,
			sentence: unreachable + ": TARBALL: dial tcp 127.0.0.1:1: connect: connection refused;",
		},
		"wrong checksum": {
			answers:  map[string]http.HandlerFunc{checksumsPath: content([]byte(checksumsOf([]byte("another file"))))},
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL has the SHA-256 ",
		},
		"checksum missing": {
			answers:  map[string]http.HandlerFunc{checksumsPath: content(fmt.Appendf(nil, "%064x  install.yaml\n", 1))},
			kind:     ErrReleaseRefused,
			sentence: refused + ": CHECKSUMS: manifests.tar.gz has no checksum (releases of Flux have one since v0.25.3);",
		},
		"checksums are a login page": {
			answers:  map[string]http.HandlerFunc{checksumsPath: content([]byte("<!DOCTYPE html>\n<html>Please log in.</html>\n"))},
			kind:     ErrReleaseRefused,
			sentence: refused + ": CHECKSUMS: manifests.tar.gz has no checksum",
		},
		"checksums too big": {
			answers:  map[string]http.HandlerFunc{checksumsPath: undeclared(make([]byte, 1<<20+1))},
			kind:     ErrReleaseRefused,
			sentence: refused + ": CHECKSUMS: it is bigger than 1048576 bytes;",
		},
		"declared too big": {
			// It hangs, so only the declared length can be the reason.
			answers: map[string]http.HandlerFunc{tarballPath: func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Length", "1001")
				hang(nil)(w, r)
			}},
			options:  Options{Limits: download.Limits{MaxDownloadBytes: 1000}},
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: it is bigger than 1000 bytes;",
		},
		"too big without declaration": {
			answers:  map[string]http.HandlerFunc{tarballPath: undeclared(good[:1001])},
			options:  Options{Limits: download.Limits{MaxDownloadBytes: 1000}},
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: it is bigger than 1000 bytes;",
		},
		"not a tarball": {
			tarball:  []byte("no gzip"),
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL can't be unpacked: ",
		},
		"half a tarball": {
			tarball:  good[:len(good)/2],
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL can't be unpacked: unexpected EOF;",
		},
		"decompression bomb": {
			tarball:  releasetest.Tarball(t, append([]releasetest.Entry{releasetest.File("bomb.yaml", releasetest.Zeros(4<<20))}, release...)...),
			options:  Options{Limits: download.Limits{MaxUnpackedBytes: 2 << 20}},
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL can't be unpacked: it is bigger than 2097152 bytes;",
		},
		"too many files": {
			tarball:  good,
			options:  Options{Limits: download.Limits{MaxFiles: 3}},
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL can't be unpacked: it has more than 3 files;",
		},
		"path traversal": {
			tarball:  releasetest.Tarball(t, append([]releasetest.Entry{releasetest.File("../rbac.yaml", "")}, release...)...),
			kind:     ErrReleaseRefused,
			sentence: refused + `: TARBALL can't be unpacked: entry "../rbac.yaml" is not at its top level;`,
		},
		"symbolic link": {
			tarball:  releasetest.Tarball(t, append(without(release, "rbac.yaml"), releasetest.Special("rbac.yaml", tar.TypeSymlink, "/etc/passwd"))...),
			kind:     ErrReleaseRefused,
			sentence: refused + `: TARBALL can't be unpacked: entry "rbac.yaml" is not a plain file;`,
		},
		"component missing": {
			tarball:  releasetest.Tarball(t, without(release, "helm-controller.yaml")...),
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: manifests.tar.gz has no file helm-controller.yaml;",
		},
		"component is not YAML": {
			tarball:  releasetest.Tarball(t, append(without(release, "helm-controller.yaml"), releasetest.File("helm-controller.yaml", "<html>"))...),
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: its manifests can't be rendered: ",
		},
		"component without its resources": {
			tarball:  releasetest.Tarball(t, append(without(release, "source-controller.yaml"), releasetest.File("source-controller.yaml", ""))...),
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: its manifests have no CustomResourceDefinition gitrepositories.source.toolkit.fluxcd.io, no Deployment flux-system/source-controller;",
		},
		"component is empty": {
			tarball:  releasetest.Tarball(t, append(without(release, "helm-controller.yaml"), releasetest.File("helm-controller.yaml", ""))...),
			kind:     ErrReleaseRefused,
			sentence: refused + ": TARBALL: its manifests have no Deployment flux-system/helm-controller;",
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).StartTLS)
			if test.tarball != nil {
				server.publish(testVersion, test.tarball)
			}
			for path, answer := range test.answers {
				server.answer(path, answer)
			}
			catalogue := server.catalogue(t, test.options)

			_, err := catalogue.Get(t.Context(), testVersion)

			g.Expect(err).To(MatchError(HavePrefix(server.fill(test.sentence))))
			g.Expect(err).NotTo(MatchError(ContainSubstring("secret")))
			var kinds []error
			for _, kind := range []error{fluxversion.ErrInvalidVersion, fluxversion.ErrVersionNotFound, ErrServerUnreachable, ErrReleaseRefused, ErrPending} {
				if errors.Is(err, kind) {
					kinds = append(kinds, kind)
				}
			}
			g.Expect(kinds).To(Equal([]error{test.kind}))

			left, err := os.ReadDir(catalogue.options.TempDir)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(left).To(BeEmpty(), "no temporary file is left")
		})
	}
}

func TestRedirectsAreBounded(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer(checksumsPath, redirectTo(checksumsPath))
	server.answer("/latest", redirectTo("/latest"))
	catalogue := server.catalogue(t, Options{})

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))
	g.Expect(server.seen()).To(HaveLen(1 + 5))
	_, err = catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(server.seen()).To(HaveLen(2 * (1 + 5)))
}

func TestServerThatIsDown(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.Close()

	_, err := server.catalogue(t, Options{}).Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))
	g.Expect(err).To(MatchError(And(ContainSubstring(server.URL+checksumsPath), ContainSubstring("connection refused"))))
}

func TestServerWithUnknownCertificate(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).StartTLS)
	catalogue := newTestCatalogue(t, Options{BaseURL: server.URL})

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))
	g.Expect(err).To(MatchError(And(
		HavePrefix("Flux version v2.9.99 can't be downloaded: "+server.URL+checksumsPath+": tls: failed to verify certificate: x509: certificate signed by unknown authority"),
		ContainSubstring("; the operator can add its CA to the CA file for the Flux releases; "))))
	g.Expect(server.seen()).To(BeEmpty())
}

func TestPasswordInBaseURLIsNotShown(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer(checksumsPath, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		g.Expect(user + ":" + password).To(Equal("robot:hunter2"))
		w.WriteHeader(http.StatusForbidden)
	})
	server.answer("/latest", code(http.StatusForbidden))
	catalogue := server.catalogue(t, Options{BaseURL: strings.Replace(server.URL, "://", "://robot:hunter2@", 1)})

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(And(ContainSubstring("403 Forbidden"), Not(ContainSubstring("hunter2")))))
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice.Warning).To(And(ContainSubstring("403 Forbidden"), Not(ContainSubstring("hunter2"))))
}

func TestDirectoryForTemporaryFilesIsMissing(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	dir := t.TempDir()
	catalogue := server.catalogue(t, Options{render: renderIn(dir)})
	g.Expect(os.Remove(dir)).To(Succeed())

	for _, version := range []string{testVersion, catalogue.Embedded()[0]} {
		_, err := catalogue.Get(t.Context(), version)
		g.Expect(err).To(MatchError(And(
			ContainSubstring("Flux version "+version+" can't be rendered: "),
			ContainSubstring("rendering needs a writable directory for temporary files"))))
		g.Expect(err).To(MatchError(os.ErrNotExist))
		g.Expect(err).NotTo(MatchError(ErrReleaseRefused))
	}
}
