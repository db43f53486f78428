// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

func TestLatest(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).StartTLS)
	catalogue := server.catalogue(t, Options{LatestInterval: time.Hour})
	clock := startClock(catalogue)

	for range 500 {
		resolved, err := catalogue.Get(t.Context(), Latest)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(resolved.Version).To(Equal(testVersion))
		g.Expect(resolved.Origin).To(Equal(OriginDownloaded))
		g.Expect(resolved.Warning).To(BeEmpty())
	}
	g.Expect(server.seen()).To(Equal([]string{"HEAD /latest", "GET " + checksumsPath, "GET " + tarballPath}))

	embedded := catalogue.Embedded()[0]
	server.answer("/latest", redirectTo("/tag/"+embedded))
	clock.advance(2 * time.Hour)
	resolved, err := catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal(embedded))
	g.Expect(resolved.Origin).To(Equal(OriginEmbedded), "the latest release needs no download if it is embedded")
	g.Expect(server.seen()).To(HaveLen(4))
}

func TestLatestFallsBackToTheEmbeddedRelease(t *testing.T) {
	versions, err := embeddedVersions()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	const embedded = "; the embedded release EMBEDDED is used instead"
	lookUp := func(problem string) string {
		return "The latest Flux release can't be looked up: " + problem + embedded
	}

	for name, test := range map[string]struct {
		answers map[string]http.HandlerFunc
		down    bool
		warning string // see releaseServer.fill
	}{
		"rate limit": {
			answers: map[string]http.HandlerFunc{"/latest": code(403)},
			warning: lookUp("SERVER/latest answered 403 Forbidden, not with a redirect to a release"),
		},
		"no release at all": {
			answers: map[string]http.HandlerFunc{"/latest": code(404)},
			warning: lookUp("SERVER/latest answered 404 Not Found, not with a redirect to a release"),
		},
		"a page in place of a redirect": {
			answers: map[string]http.HandlerFunc{"/latest": content([]byte("<html>"))},
			warning: lookUp("SERVER/latest answered 200 OK, not with a redirect to a release"),
		},
		"redirect to a login page": {
			answers: map[string]http.HandlerFunc{"/latest": redirectTo("/login?token=secret"), "/login": content([]byte("<html>"))},
			warning: lookUp("SERVER/latest answered 200 OK, not with a redirect to a release"),
		},
		"redirect loop": {
			answers: map[string]http.HandlerFunc{"/latest": redirectTo("/latest")},
			warning: lookUp("SERVER/latest: it redirects more than 5 times"),
		},
		"no answer in time": {
			answers: map[string]http.HandlerFunc{"/latest": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }},
			warning: lookUp("SERVER/latest: no complete answer within 100ms"),
		},
		"server is down": {
			down:    true,
			warning: lookUp("SERVER/latest: dial tcp ADDRESS: connect: connection refused"),
		},
		"release can't be downloaded": {
			answers: map[string]http.HandlerFunc{tarballPath: code(500)},
			warning: "The latest Flux release is v2.9.99, but can't be used: Flux version v2.9.99 can't be downloaded: SERVER" + tarballPath +
				" answered 500 Internal Server Error; the operator can configure a mirror of Flux's releases;" +
				" embedded versions need no download: " + strings.Join(versions, ", ") + embedded,
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).Start)
			for path, answer := range test.answers {
				server.answer(path, answer)
			}
			if test.down {
				server.Close()
			}
			catalogue := server.catalogue(t, Options{LookupTimeout: 100 * time.Millisecond})

			resolved, err := catalogue.Get(t.Context(), Latest)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(resolved.Version).To(Equal(catalogue.Embedded()[0]))
			g.Expect(resolved.Origin).To(Equal(OriginEmbedded))
			g.Expect(resolved.Warning).To(Equal(server.fill(test.warning)))

			seen := len(server.seen())
			_, err = catalogue.Get(t.Context(), Latest)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(server.seen()).To(HaveLen(seen), "the failure is kept for a while")
		})
	}
}

func TestLatestFollowsRedirectsOfTheServer(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer("/latest", redirectTo("/moved/latest"))
	server.answer("/moved/latest", redirectTo("/moved/tag/"+testVersion))

	resolved, err := server.catalogue(t, Options{}).Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal(testVersion))
	g.Expect(resolved.Warning).To(BeEmpty())
}

func TestLatestIsKeptWhenTheServerFailsLater(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	catalogue := server.catalogue(t, Options{LatestInterval: time.Hour})
	clock := startClock(catalogue)
	_, err := catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())

	server.answer("/latest", code(503))
	clock.advance(2 * time.Hour)
	resolved, err := catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal(testVersion))
	g.Expect(resolved.Warning).To(Equal("The latest Flux release can't be looked up: " + server.URL + "/latest answered 503 Service Unavailable," +
		" not with a redirect to a release; release v2.9.99, which was the latest one at 2026-05-01T12:00:00Z, is used"))

	server.answer("/latest", redirectTo("/tag/v2.9.100"))
	clock.advance(2 * time.Minute)
	resolved, err = catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal(testVersion), "a new release that can't be downloaded does not displace the one that works")
	g.Expect(resolved.Warning).To(And(
		HavePrefix("The latest Flux release is v2.9.100, but can't be used: Flux version v2.9.100 does not exist"),
		HaveSuffix("; release v2.9.99 is used instead")))

	server.publish("v2.9.100", tarballOf(t, releaseEntries(t)))
	clock.advance(2 * time.Minute)
	resolved, err = catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal("v2.9.100"))
	g.Expect(resolved.Warning).To(BeEmpty())
}

func TestConcurrentRequestsMakeOneLookUp(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	gate := make(chan struct{})
	server.answer("/latest", func(w http.ResponseWriter, r *http.Request) {
		<-gate
		redirectTo("/tag/"+testVersion)(w, r)
	})
	catalogue := server.catalogue(t, Options{})

	var started, done sync.WaitGroup
	errs := make([]error, 50)
	for i := range errs {
		started.Add(1)
		done.Go(func() {
			started.Done()
			_, errs[i] = catalogue.Get(context.Background(), Latest)
		})
	}
	started.Wait()
	close(gate)
	done.Wait()

	g.Expect(errs).To(HaveEach(BeNil()))
	g.Expect(server.seen()).To(ConsistOf("HEAD /latest", "GET "+checksumsPath, "GET "+tarballPath))
}

func TestCancelledLookUp(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	arrived, gate := make(chan struct{}), make(chan struct{})
	server.answer("/latest", func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-gate
		redirectTo("/tag/"+testVersion)(w, r)
	})
	catalogue := server.catalogue(t, Options{})

	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() {
		_, err := catalogue.Get(ctx, Latest)
		cancelled <- err
	}()
	<-arrived
	cancel()
	err := <-cancelled
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(err).To(MatchError(ContainSubstring("waiting for the latest Flux release")))

	close(gate)
	resolved, err := catalogue.Get(t.Context(), Latest)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(resolved.Version).To(Equal(testVersion))
	g.Expect(server.seen()).To(HaveLen(3))

	resolved, err = catalogue.Get(ctx, Latest)
	g.Expect(err).NotTo(HaveOccurred(), "what is known needs no waiting")
	g.Expect(resolved.Version).To(Equal(testVersion))
}

// A caller that gives up while the latest release is downloaded must not be answered with an older one.
func TestCancelledDownloadOfLatest(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	arrived, gate := make(chan struct{}), make(chan struct{})
	server.answer(checksumsPath, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-gate
	})
	t.Cleanup(func() { close(gate) })
	catalogue := server.catalogue(t, Options{})

	ctx, cancel := context.WithCancel(t.Context())
	cancelled := make(chan error)
	go func() {
		_, err := catalogue.Get(ctx, Latest)
		cancelled <- err
	}()
	<-arrived
	cancel()
	g.Expect(<-cancelled).To(MatchError(context.Canceled))
}
