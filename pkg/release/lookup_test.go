// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"cmp"
	"context"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
)

// chooseLatest asks for the latest release on behalf of a shoot that has none.
func chooseLatest(t *testing.T, catalogue *Catalogue) *fluxversion.Choice {
	t.Helper()
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return choice
}

func TestLatest(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).StartTLS)
	clock := newClock()
	catalogue := server.catalogue(t, Options{LatestInterval: time.Hour, clock: clock})

	for range 500 {
		g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: testVersion}))
	}
	g.Expect(server.seen()).To(Equal([]string{"HEAD /latest", "GET " + checksumsPath, "GET " + tarballPath}))
	g.Expect(catalogue.Stats()).To(And(HaveField("LookUps", int64(1)), HaveField("Downloads", int64(1)), HaveField("Renders", int64(1))))

	server.answer("/latest", redirectTo("/tag/"+server.embedded))
	clock.Step(2 * time.Hour)
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: server.embedded}))
	g.Expect(server.seen()).To(HaveLen(4), "the latest release needs no download if it is embedded")
}

func TestLatestFallsBackToTheEmbeddedRelease(t *testing.T) {
	lookUp := func(problem string) string {
		return "Not all releases of Flux could be looked up: " + problem + "; EMBEDDED is the newest known one"
	}

	for name, test := range map[string]struct {
		answers map[string]http.HandlerFunc
		down    bool
		timeout time.Duration
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
			timeout: 100 * time.Millisecond,
			warning: lookUp("SERVER/latest: no complete answer within 100ms"),
		},
		"server is down": {
			down:    true,
			warning: lookUp("SERVER/latest: dial tcp ADDRESS: connect: connection refused"),
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
			catalogue := server.catalogue(t, Options{LookupTimeout: cmp.Or(test.timeout, time.Hour)})

			request := fluxversion.Request{Version: "latest", Installed: server.embedded}
			choice, err := catalogue.Choose(t.Context(), request)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(choice).To(Equal(&fluxversion.Choice{Version: server.embedded, Warning: server.fill(test.warning)}))

			seen := len(server.seen())
			_, err = catalogue.Choose(t.Context(), request)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(server.seen()).To(HaveLen(seen), "the failure is kept for a while")
			g.Expect(catalogue.Stats()).To(And(HaveField("LookUps", int64(1)), HaveField("FailedLookUps", int64(1))))
		})
	}
}

func TestLatestThatCanNotBeDownloaded(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer(tarballPath, code(500))
	catalogue := server.catalogue(t, Options{})
	problem := server.fill("The newest known Flux release is v2.9.99, but can't be used: Flux version v2.9.99 can't be downloaded: TARBALL" +
		" answered 500 Internal Server Error; the operator can configure a mirror of Flux's releases; embedded versions need no download: ALL; ")
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: server.embedded, Warning: problem + server.fill("the embedded release EMBEDDED is used instead")}))
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: "v2.9.98"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v2.9.98", Warning: problem + "v2.9.98, which is installed, stays"}))
}

func TestLatestFollowsRedirectsOfTheServer(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer("/latest", redirectTo("/moved/latest"))
	server.answer("/moved/latest", redirectTo("/moved/tag/"+testVersion))
	g.Expect(chooseLatest(t, server.catalogue(t, Options{}))).To(Equal(&fluxversion.Choice{Version: testVersion}))
}

func TestLatestIsKeptWhenTheServerFailsLater(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	clock := newClock()
	catalogue := server.catalogue(t, Options{LatestInterval: time.Hour, clock: clock})
	chooseLatest(t, catalogue)

	server.answer("/latest", code(503))
	clock.Step(2 * time.Hour)
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: testVersion, Warning: "Not all releases of Flux could be looked up: " +
		server.URL + "/latest answered 503 Service Unavailable (its answer of 2026-05-01T12:00:00Z is used); v2.9.99 is the newest known one"}))

	server.answer("/latest", redirectTo("/tag/v2.9.100"))
	clock.Step(2 * time.Minute)
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: testVersion})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice.Version).To(Equal(testVersion), "a new release that can't be downloaded does not displace the one that works")
	g.Expect(choice.Warning).To(And(
		HavePrefix("The newest known Flux release is v2.9.100, but can't be used: Flux version v2.9.100 does not exist"),
		HaveSuffix("; v2.9.99, which is installed, stays")))

	server.publish("v2.9.100", releaseTarball(t))
	clock.Step(2 * time.Minute)
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: "v2.9.100"}))
}

// A look-up that takes too long leaves it at what was known.
func TestLatestIsKeptWhileTheServerIsSlow(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	clock := newClock()
	catalogue := server.catalogue(t, Options{LatestInterval: time.Hour, clock: clock})
	chooseLatest(t, catalogue)

	gate := make(chan struct{})
	server.answer("/latest", func(w http.ResponseWriter, r *http.Request) {
		<-gate
		redirectTo("/tag/"+server.embedded)(w, r)
	})
	clock.Step(2 * time.Hour)
	catalogue.options.WaitLimit = time.Nanosecond
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: testVersion, Warning: "Not all releases of Flux could be looked up: " +
		server.URL + "/latest has not answered yet (its answer of 2026-05-01T12:00:00Z is used); v2.9.99 is the newest known one"}))

	close(gate)
	catalogue.options.WaitLimit = time.Hour
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&fluxversion.Choice{Version: server.embedded}))
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
			_, errs[i] = catalogue.Choose(context.Background(), fluxversion.Request{Version: "latest"})
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
		_, err := catalogue.Choose(ctx, fluxversion.Request{Version: "latest"})
		cancelled <- err
	}()
	<-arrived
	cancel()
	err := <-cancelled
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(err).To(MatchError(ContainSubstring("waiting for the latest Flux release")))

	close(gate)
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice.Version).To(Equal(testVersion))
	g.Expect(server.seen()).To(HaveLen(3))

	choice, err = catalogue.Choose(ctx, fluxversion.Request{Version: "latest"})
	g.Expect(err).NotTo(HaveOccurred(), "what is known needs no waiting")
	g.Expect(choice.Version).To(Equal(testVersion))
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
		_, err := catalogue.Choose(ctx, fluxversion.Request{Version: "latest"})
		cancelled <- err
	}()
	<-arrived
	cancel()
	g.Expect(<-cancelled).To(MatchError(context.Canceled))
}
