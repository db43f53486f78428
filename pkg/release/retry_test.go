// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/fluxversion"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// recordPauses makes a catalogue record how long it would wait before it tries again.
func recordPauses(catalogue *Catalogue) *[]time.Duration {
	pauses := &[]time.Duration{}
	catalogue.options.pause = func(_ context.Context, duration time.Duration) error {
		*pauses = append(*pauses, duration)
		return nil
	}
	return pauses
}

func between(low, high time.Duration) OmegaMatcher {
	return And(BeNumerically(">=", low), BeNumerically("<=", high))
}

func TestTransientFailuresAreRetried(t *testing.T) {
	good := redirectTo("/tag/" + testVersion)
	asks := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
	const first = 200 * time.Millisecond
	once := HaveExactElements(between(first, first*12/10))
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		pauses OmegaMatcher
	}{
		"unavailable at first":     {times(2, code(503), good), HaveExactElements(between(first, first*12/10), between(2*first, first*24/10))},
		"unavailable for long":     {times(3, code(502), good), HaveLen(3)},
		"too many requests":        {times(1, code(429), good), once},
		"asks for time":            {times(1, asks("7"), good), HaveExactElements(7 * time.Second)},
		"asks for less than usual": {times(1, asks("0"), good), once},
		"asks until a date":        {times(1, asks(time.Now().Add(time.Minute).UTC().Format(http.TimeFormat)), good), HaveExactElements(between(first, time.Minute))},
		"asks in no known way":     {times(1, asks("soon"), good), once},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).StartTLS)
			server.answer("/latest", test.answer)
			catalogue := server.catalogue(t, Options{LookupTimeout: time.Hour})
			pauses := recordPauses(catalogue)

			choice, err := catalogue.Choose(t.Context(), fluxversion.Request{Version: "latest", Installed: testVersion})
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(choice).To(Equal(&fluxversion.Choice{Version: testVersion}))
			g.Expect(*pauses).To(test.pauses)
		})
	}
}

func TestDownloadsAreRetried(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).StartTLS)
	good := releaseTarball(t)
	server.answer(tarballPath, times(1, code(503), times(1, cutOff(good), content(good))))
	catalogue := server.catalogue(t, Options{})
	pauses := recordPauses(catalogue)

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(*pauses).To(HaveLen(2))
	g.Expect(server.seen()).To(Equal(slices.Repeat([]string{"GET " + checksumsPath, "GET " + tarballPath}, 3)))
}

// A server that asks for more time than there is gets no more requests, and the sentence says so.
func TestRetryAfterBeyondTheTimeout(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer(checksumsPath, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "3600")
		w.WriteHeader(http.StatusTooManyRequests)
	})
	catalogue := server.catalogue(t, Options{})
	pauses := recordPauses(catalogue)

	_, err := catalogue.Get(t.Context(), testVersion)
	g.Expect(err).To(MatchError(ErrServerUnreachable))
	g.Expect(err).To(MatchError(ContainSubstring(server.URL + checksumsPath + " answered 429 Too Many Requests (Retry-After: 1h0m0s); ")))
	g.Expect(*pauses).To(BeEmpty())
	g.Expect(server.seen()).To(HaveLen(1))
}

func TestLastingFailuresAreNotRetried(t *testing.T) {
	for name, answer := range map[string]http.HandlerFunc{
		"not found":      code(404),
		"forbidden":      code(403),
		"redirect loop":  redirectTo(checksumsPath),
		"wrong checksum": content([]byte(checksumsOf([]byte("another file")))),
		"no checksum":    content(nil),
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).Start)
			server.answer(checksumsPath, answer)
			catalogue := server.catalogue(t, Options{})
			pauses := recordPauses(catalogue)
			_, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).To(HaveOccurred())
			g.Expect(*pauses).To(BeEmpty())
		})
	}
}

func TestRetriesEndWithTheCatalogue(t *testing.T) {
	g := NewWithT(t)
	catalogue := newTestCatalogue(t, Options{pause: pause})
	attempts := 0
	err := catalogue.try(time.Minute, func(context.Context) error {
		attempts++
		catalogue.Close()
		return failure.New(failure.ErrTransient, "no luck")
	})
	g.Expect(err).To(MatchError("no luck"))
	g.Expect(attempts).To(Equal(1))
}
