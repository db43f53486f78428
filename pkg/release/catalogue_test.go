// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
	testingclock "k8s.io/utils/clock/testing"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
)

var update = flag.Bool("update", false, "write the golden files")

func TestEmbeddedReleases(t *testing.T) {
	server := newReleaseServer(t, (*httptest.Server).Start)
	// A version that is embedded only takes time, so that no patience is needed.
	catalogue := server.catalogue(t, Options{WaitLimit: time.Nanosecond})

	for _, version := range catalogue.Embedded() {
		t.Run(version, func(t *testing.T) {
			g := NewWithT(t)
			release, err := catalogue.Get(t.Context(), version)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(release.Version).To(Equal(version))
			g.Expect(release.Origin).To(Equal("embedded"))
			g.Expect(release.Source).To(Equal("embedded"))
			g.Expect(release.Digest).To(MatchRegexp("^sha256:[0-9a-f]{64}$"))

			again, err := catalogue.Get(t.Context(), version)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(again).To(BeIdenticalTo(release), "a release is rendered once")
			g.Expect(server.seen()).To(BeEmpty())

			compareGolden(t, "testdata/"+version+".golden", describe(t, release.Manifests))
		})
	}
}

// describe lists the objects, and the images that they run.
func describe(t *testing.T, manifests []byte) string {
	t.Helper()
	g := NewWithT(t)
	var text strings.Builder
	// REUSE-IgnoreStart
	text.WriteString("# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors\n#\n# SPDX-License-Identifier: Apache-2.0\n")
	// REUSE-IgnoreEnd
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		g.Expect(err).NotTo(HaveOccurred())
		fmt.Fprintf(&text, "%s %s %s/%s\n", object.GetAPIVersion(), object.GetKind(), object.GetNamespace(), object.GetName())
		if object.GetKind() == "Deployment" {
			var deployment appsv1.Deployment
			g.Expect(runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &deployment)).To(Succeed())
			fmt.Fprintf(&text, "  image %s\n", deployment.Spec.Template.Spec.Containers[0].Image)
		}
	}
}

func compareGolden(t *testing.T, path, got string) {
	t.Helper()
	g := NewWithT(t)
	if *update {
		g.Expect(os.MkdirAll("testdata", 0o755)).To(Succeed())
		g.Expect(os.WriteFile(path, []byte(got), 0o644)).To(Succeed())
	}
	want, err := os.ReadFile(path)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(got).To(Equal(string(want)))
}

func TestInvalidVersions(t *testing.T) {
	for _, version := range []string{
		"", "latest", "2.9.4", "v2.9", "v2", "v", "v2.9.4 ", " v2.9.4", "v2.9.4/..", "../v2.9.4", "v../../../x", "v2.9.4?x=y", "v2.9.x", "vv2.9.4", "v2.9.4+build",
	} {
		t.Run(version, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).Start)
			_, err := server.catalogue(t, Options{}).Get(t.Context(), version)
			g.Expect(err).To(MatchError(fluxversion.ErrInvalidVersion))
			g.Expect(err).To(MatchError(fmt.Sprintf("%q is not the version of a Flux release: write it as v2.9.4", version)))
			g.Expect(server.seen()).To(BeEmpty())
		})
	}
}

func TestInvalidBaseURLs(t *testing.T) {
	for baseURL, sentence := range map[string]string{
		"ftp://example.com/releases":         `must look like https://host/path, but is "ftp://example.com/releases"`,
		"example.com/releases":               "must look like https://host/path",
		"https:///releases":                  "must look like https://host/path",
		"https://u:hunter2@example.com/?a=b": `must look like https://host/path, but is "https://u:xxxxx@example.com/?a=b"`,
		"https://example.com/#releases":      "must look like https://host/path",
		"https://u:hunter2@example.com:x/a":  "can't be parsed: write it as https://host/path",
	} {
		t.Run(baseURL, func(t *testing.T) {
			g := NewWithT(t)
			_, err := NewCatalogue(Options{BaseURL: baseURL})
			g.Expect(err).To(MatchError(And(ContainSubstring(sentence), Not(ContainSubstring("hunter2")))))
		})
	}
}

func TestFailuresAreKeptForAWhile(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer(checksumsPath, code(http.StatusServiceUnavailable))
	clock := newClock()
	catalogue := server.catalogue(t, Options{FailureInterval: time.Minute, clock: clock})

	for range 500 {
		_, err := catalogue.Get(t.Context(), testVersion)
		g.Expect(err).To(MatchError(ErrServerUnreachable))
	}
	g.Expect(server.seen()).To(HaveLen(4), "there are three retries, once")
	g.Expect(catalogue.Stats()).To(Equal(Stats{FailedDownloads: 1}))

	server.publish(testVersion, releaseTarball(t))
	clock.Step(59 * time.Second)
	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))

	clock.Step(10 * time.Second)
	_, err = catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
}

// Anybody can ask for any version.
func TestMemoryIsBounded(t *testing.T) {
	g := NewWithT(t)
	catalogue := newReleaseServer(t, (*httptest.Server).Start).catalogue(t, Options{MaxReleases: 2})
	builtIn, err := catalogue.Get(t.Context(), catalogue.Embedded()[0])
	g.Expect(err).NotTo(HaveOccurred())
	size := builtIn.size()

	keep := func(version string, bytes int) *Release {
		release := &Release{Version: version, Origin: "oci", Manifests: make([]byte, bytes)}
		catalogue.cache.keep(release)
		return release
	}
	keep("v9.0.1", 100)
	second := keep("v9.0.2", 10)
	g.Expect(catalogue.Stats()).To(Equal(Stats{Renders: 1, Downloads: 2, Kept: 3, KeptBytes: size + 110}))
	third := keep("v9.0.3", 1)
	g.Expect(catalogue.Stats()).To(Equal(Stats{Renders: 1, Downloads: 3, Kept: 3, KeptBytes: size + 11}))

	for _, kept := range []*Release{builtIn, second, third} {
		again, err := catalogue.Get(t.Context(), kept.Version)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(again).To(BeIdenticalTo(kept))
	}
	_, err = catalogue.Get(t.Context(), "v9.0.1")
	g.Expect(err).To(MatchError(fluxversion.ErrVersionNotFound), "it is asked for again")

	for i := range 2 * maxFailures {
		catalogue.cache.keepFailure(fmt.Sprintf("v9.9.%d", i), errors.New("failed"), time.Minute)
	}
	g.Expect(catalogue.cache.failures.Keys()).To(HaveLen(maxFailures))
	g.Expect(catalogue.Stats().KeptBytes).To(Equal(size+11), "a failure displaces no release")
}

func TestConcurrentRequestsMakeOneDownload(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	gate := make(chan struct{})
	checksums := checksumsOf(releaseTarball(t))
	server.answer(checksumsPath, func(w http.ResponseWriter, _ *http.Request) {
		<-gate
		_, _ = io.WriteString(w, checksums)
	})
	catalogue := server.catalogue(t, Options{})

	const callers = 50
	var started, done sync.WaitGroup
	releases := make([]*Release, callers)
	errs := make([]error, callers)
	for i := range callers {
		started.Add(1)
		done.Go(func() {
			started.Done()
			releases[i], errs[i] = catalogue.Get(context.Background(), testVersion)
		})
	}
	started.Wait()
	close(gate)
	done.Wait()

	for i := range callers {
		g.Expect(errs[i]).NotTo(HaveOccurred())
		g.Expect(releases[i]).To(BeIdenticalTo(releases[0]))
	}
	g.Expect(server.seen()).To(Equal([]string{"GET " + checksumsPath, "GET " + tarballPath}))
}

func TestCancelledRequestLeavesTheDownloadToOthers(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	arrived, gate := make(chan struct{}), make(chan struct{})
	checksums := checksumsOf(releaseTarball(t))
	server.answer(checksumsPath, func(w http.ResponseWriter, _ *http.Request) {
		close(arrived)
		<-gate
		_, _ = io.WriteString(w, checksums)
	})
	catalogue := server.catalogue(t, Options{})

	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() {
		_, err := catalogue.Get(ctx, testVersion)
		cancelled <- err
	}()
	<-arrived
	cancel()
	err := <-cancelled // returns although the server has not answered
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(err).To(MatchError(ContainSubstring("waiting for Flux release v2.9.99")))

	close(gate)
	_, err = catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(server.seen()).To(HaveLen(2))
}

// newClock stands in for the time of a catalogue.
func newClock() *testingclock.FakeClock {
	return testingclock.NewFakeClock(time.Date(2026, time.May, 1, 12, 0, 0, 0, time.UTC))
}
