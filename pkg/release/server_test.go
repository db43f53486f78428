// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

// testVersion is a version that is not embedded. Its tarball is made from the embedded release.
const testVersion = "v2.9.99"

const (
	checksumsPath = "/download/v2.9.99/flux_2.9.99_checksums.txt"
	tarballPath   = "/download/v2.9.99/manifests.tar.gz"
)

// releaseServer is an HTTP server with the layout of Flux's releases. A test can replace what a path answers.
type releaseServer struct {
	*httptest.Server
	// embedded is the newest of all embedded versions.
	embedded string
	all      []string

	mutex    sync.Mutex
	answers  map[string]http.HandlerFunc
	requests []string
	// fallback answers for all other paths, unless it is nil.
	fallback http.Handler
}

func newReleaseServer(t testing.TB, start func(*httptest.Server)) *releaseServer {
	t.Helper()
	all, err := embedded.Versions()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	server := &releaseServer{embedded: all[0], all: all, answers: map[string]http.HandlerFunc{}}
	server.Server = httptest.NewUnstartedServer(http.HandlerFunc(server.serve))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	start(server.Server)
	t.Cleanup(server.Close)
	server.publish(testVersion, releaseTarball(t))
	server.answer("/latest", redirectTo("/tag/"+testVersion))
	return server
}

func (s *releaseServer) serve(w http.ResponseWriter, r *http.Request) {
	s.mutex.Lock()
	s.requests = append(s.requests, r.Method+" "+r.URL.Path)
	answer, ok := s.answers[r.URL.Path]
	s.mutex.Unlock()
	switch {
	case ok:
		answer(w, r)
	case s.fallback != nil:
		s.fallback.ServeHTTP(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (s *releaseServer) answer(path string, answer http.HandlerFunc) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.answers[path] = answer
}

func (s *releaseServer) seen() []string {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return slices.Clone(s.requests)
}

// publish makes the server have a tarball and its checksum.
func (s *releaseServer) publish(version string, tarball []byte) {
	dir := "/download/" + version + "/"
	s.answer(dir+"manifests.tar.gz", content(tarball))
	s.answer(dir+"flux_"+version[1:]+"_checksums.txt", content([]byte(checksumsOf(tarball))))
}

// catalogue returns a catalogue that takes its releases from the server.
func (s *releaseServer) catalogue(t testing.TB, options Options) *Catalogue {
	t.Helper()
	if options.BaseURL == "" {
		options.BaseURL = s.URL
	}
	if s.Certificate() != nil && options.CAFile == "" {
		options.CAFile = caFile(t, s.Server)
	}
	return newTestCatalogue(t, options)
}

// newTestCatalogue returns a catalogue that waits long, but not before it tries again.
func newTestCatalogue(t testing.TB, options Options) *Catalogue {
	t.Helper()
	setDefault(&options.TempDir, t.TempDir())
	setDefault(&options.WaitLimit, time.Hour)
	if options.pause == nil {
		options.pause = func(context.Context, time.Duration) error { return nil }
	}
	if options.render == nil {
		options.render = renderOnce(options.TempDir)
	}
	catalogue, err := NewCatalogue(options)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(catalogue.Close)
	return catalogue
}

// caFile returns the path of a file with the certificate of a server.
func caFile(t testing.TB, server *httptest.Server) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ca.crt")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	NewWithT(t).Expect(os.WriteFile(path, certificate, 0o600)).To(Succeed())
	return path
}

// fill puts the server's address into an expected sentence.
func (s *releaseServer) fill(sentence string) string {
	return strings.NewReplacer("EMBEDDED", s.embedded, "ALL", strings.Join(s.all, ", "), "TARBALL", s.URL+tarballPath, "CHECKSUMS", s.URL+checksumsPath,
		"SERVER", s.URL, "ADDRESS", s.Listener.Addr().String()).Replace(sentence)
}

func content(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(data) }
}

// times answers some requests in one way, and the others in another.
func times(n int, first, then http.HandlerFunc) http.HandlerFunc {
	var seen atomic.Int64
	return func(w http.ResponseWriter, r *http.Request) {
		if seen.Add(1) <= int64(n) {
			first(w, r)
			return
		}
		then(w, r)
	}
}

func code(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }
}

func redirectTo(target string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target, http.StatusFound) }
}

// hang sends what it is given and then nothing more until the client gives up.
func hang(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(data)
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	}
}

// cutOff announces more than it sends.
func cutOff(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(len(data)))
		_, _ = w.Write(data[:len(data)/2])
	}
}

// undeclared sends the data in chunks, without saying its length beforehand.
func undeclared(data []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.(http.Flusher).Flush()
		_, _ = w.Write(data)
	}
}

func checksumsOf(tarball []byte) string {
	return fmt.Sprintf("%064x  install.yaml\n%x  manifests.tar.gz\n", 1, sha256.Sum256(tarball))
}

// releaseTarball is the good one. It is made once, which takes long with the race detector.
func releaseTarball(t testing.TB) []byte {
	t.Helper()
	goodTarball.once.Do(func() { goodTarball.content = releasetest.Tarball(t, releasetest.Entries(t)...) })
	return goodTarball.content
}

var goodTarball struct {
	once    sync.Once
	content []byte
}

func without(entries []releasetest.Entry, name string) []releasetest.Entry {
	return slices.DeleteFunc(slices.Clone(entries), func(e releasetest.Entry) bool { return e.Name == name })
}

func renderIn(dir string) func(version string, files map[string][]byte) ([]byte, error) {
	return func(version string, files map[string][]byte) ([]byte, error) {
		return export.Render(dir, version, files)
	}
}

// renderOnce does what renderIn does, but only once in this process for the same files: kustomize takes seconds with the race
// detector, and the tests' many catalogues render the same few releases. TestRenderIsDeterministic is what allows that.
func renderOnce(dir string) func(version string, files map[string][]byte) ([]byte, error) {
	return func(version string, files map[string][]byte) ([]byte, error) {
		text, err := json.Marshal(files)
		if err != nil {
			return nil, err
		}
		once, _ := renders.LoadOrStore(fmt.Sprintf("%s %x", version, sha256.Sum256(text)), sync.OnceValues(func() ([]byte, error) { return renderIn(dir)(version, files) }))
		return once.(func() ([]byte, error))()
	}
}

var renders sync.Map
