// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"net/http"
	"net/http/httptest"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/releasetest"
)

// What needs no look-up makes none.
func TestChooseWithoutLookUp(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	catalogue := server.catalogue(t, Options{})
	for _, request := range []fluxversion.Request{
		{Version: "2.9.4"}, {Version: "2.9.4", Installed: "v2.9.3"},
		{Version: "latest", Installed: "v2.9.4", Keep: true}, {Version: "2.x", Installed: "v2.9.4", Keep: true},
	} {
		choice, err := catalogue.Choose(t.Context(), request)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v2.9.4"}))
	}
	_, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "2.8.8", Installed: "v2.9.4"})
	g.Expect(err).To(MatchError(fluxversion.ErrDowngrade))
	g.Expect(server.seen()).To(BeEmpty())
}

// A range takes the newest of what all sources have.
func TestChooseFromAllSources(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	dir := t.TempDir()
	writeRelease(t, dir, "v2.9.101", releasetest.Manifests(t, "v2.9.101", nil))
	server.push(t, "v2.9.100", artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, "v2.9.100", nil))))
	catalogue := server.catalogue(t, Options{Directory: dir})

	for version, want := range map[string]string{
		"latest": testVersion, "2.x": "v2.9.101", "<2.9.101": "v2.9.100", "<2.9.100": testVersion, "<2.9.99": server.embedded,
	} {
		choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: version})
		g.Expect(err).NotTo(HaveOccurred(), version)
		g.Expect(choice).To(Equal(&fluxversion.Choice{Version: want}), version)
	}
}

// Without the server's answer, the latest release is the newest one known otherwise.
func TestChooseLatestWithoutTheServer(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	server.push(t, "v2.9.100", artifact(t, contentMediaType, layer(t, releasetest.Manifests(t, "v2.9.100", nil))))
	server.releases.answer("/latest", code(403))
	choice, err := server.catalogue(t, Options{}).Choose(t.Context(), fluxversion.Request{Version: "latest"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: "v2.9.100", Warning: "Not all releases of Flux could be looked up: " + server.releases.URL +
		"/latest answered 403 Forbidden, not with a redirect to a release; v2.9.100 is the newest known one"}))
}

func TestChooseWithoutTheDirectory(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	dir := t.TempDir()
	catalogue := server.catalogue(t, Options{Directory: dir})
	g.Expect(os.Remove(dir)).To(Succeed())
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "2.x", Installed: testVersion})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: testVersion, Warning: "Not all releases of Flux could be looked up: open " + dir +
		`: no such file or directory; v2.9.99 is the newest known one that satisfies "2.x"`}))
}

// When the latest release is known, the tags of the OCI repository need not be.
func TestLatestDoesNotWaitForTags(t *testing.T) {
	g := NewWithT(t)
	server := newOCIServer(t)
	gate := make(chan struct{})
	t.Cleanup(func() { close(gate) })
	server.answer(tagsPath, func(http.ResponseWriter, *http.Request) { <-gate })
	choice, err := server.catalogue(t, Options{}).Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: testVersion})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: testVersion}))
}

// What can't be had within the limit is told, goes on, and is there later.
func TestWaitLimit(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	checksums := checksumsOf(releaseTarball(t))
	arrived, gate := make(chan struct{}), make(chan struct{})
	server.answer(checksumsPath, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-gate
		content([]byte(checksums))(w, r)
	})
	catalogue := server.catalogue(t, Options{WaitLimit: 10 * time.Millisecond, clock: newClock()})

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrPending))
	<-arrived
	for range 100 {
		_, err = catalogue.Get(t.Context(), testVersion)
		g.Expect(err).To(MatchError(ErrPending))
		g.Expect(err).To(MatchError("Waiting for Flux release v2.9.99 from " + server.URL + tarballPath + " since 2026-05-01T12:00:00Z: " +
			"this goes on in the background, and Gardener asks for it again by itself"))
	}
	g.Expect(server.seen()).To(HaveLen(1), "there is one download for all")

	close(gate)
	catalogue.options.WaitLimit = time.Hour
	release, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(release.Version).To(Equal(testVersion))
	g.Expect(server.seen()).To(HaveLen(2))
}

func TestWaitLimitForLookUps(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	gate := make(chan struct{})
	server.answer("/latest", func(w http.ResponseWriter, r *http.Request) {
		<-gate
		redirectTo("/tag/"+testVersion)(w, r)
	})
	catalogue := server.catalogue(t, Options{WaitLimit: 10 * time.Millisecond})

	for _, version := range []string{"latest", "2.x"} {
		_, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: version, Installed: testVersion})
		g.Expect(err).To(MatchError(ErrPending))
		g.Expect(err).To(MatchError(HavePrefix("Waiting for the latest Flux release")))
	}
	close(gate)
	catalogue.options.WaitLimit = time.Hour
	choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: "v2.9.98"})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(choice).To(Equal(&fluxversion.Choice{Version: testVersion}))
}

// What is chosen and not there yet is not replaced by something older.
func TestWaitLimitForTheChoice(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	catalogue := server.catalogue(t, Options{})
	_, err := catalogue.list(t.Context(), catalogue.server)
	g.Expect(err).NotTo(HaveOccurred())

	gate := make(chan struct{})
	t.Cleanup(func() { close(gate) })
	server.answer(checksumsPath, func(http.ResponseWriter, *http.Request) { <-gate })
	catalogue.options.WaitLimit = 10 * time.Millisecond
	for _, installed := range []string{"", server.embedded} {
		_, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: installed})
		g.Expect(err).To(MatchError(ErrPending))
	}
}

// A release that is embedded, but can't be rendered, is asked for elsewhere, which nobody waits for longer than for others.
func TestWaitLimitForEmbeddedReleases(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	gate := make(chan struct{})
	t.Cleanup(func() { close(gate) })
	path := "/download/" + server.embedded + "/flux_" + server.embedded[1:] + "_checksums.txt"
	server.answer(path, func(http.ResponseWriter, *http.Request) { <-gate })
	catalogue := server.catalogue(t, Options{WaitLimit: 10 * time.Millisecond, render: func(string, map[string][]byte) ([]byte, error) {
		return nil, failure.New(failure.ErrLocal, "no space left on device")
	}})
	_, err := catalogue.Get(t.Context(), server.embedded)
	g.Expect(err).To(MatchError(ErrPending))
	g.Eventually(server.seen, time.Minute).Should(Equal([]string{"GET " + path}))
}

// The end of the process ends what is under way.
func TestClose(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	arrived, left := make(chan struct{}), make(chan struct{})
	server.answer(checksumsPath, func(_ http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
		close(left)
	})
	catalogue := server.catalogue(t, Options{})
	failed := make(chan error)
	go func() {
		_, err := catalogue.Get(t.Context(), testVersion)
		failed <- err
	}()
	<-arrived
	catalogue.Close()
	<-left
	g.Expect(<-failed).To(MatchError(ContainSubstring("context canceled")))
}
