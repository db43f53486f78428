// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

// recordPauses makes a catalogue record how long it would wait before it tries again.
func recordPauses(catalogue *Catalogue) *[]time.Duration {
	pauses := &[]time.Duration{}
	catalogue.retries.pause = func(_ context.Context, duration time.Duration) error {
		*pauses = append(*pauses, duration)
		return nil
	}
	return pauses
}

func between(low, high time.Duration) OmegaMatcher {
	return And(BeNumerically(">=", low), BeNumerically("<=", high))
}

func TestTransientFailuresAreRetried(t *testing.T) {
	good := tarballOf(t, releaseEntries(t))
	asks := func(value string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", value)
			w.WriteHeader(http.StatusTooManyRequests)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		pauses OmegaMatcher
	}{
		"unavailable at first": {times(2, code(503), content(good)),
			HaveExactElements(between(200*time.Millisecond, 240*time.Millisecond), between(400*time.Millisecond, 480*time.Millisecond))},
		"cut off at first":         {times(1, cutOff(good), content(good)), HaveLen(1)},
		"too many requests":        {times(1, code(429), content(good)), HaveExactElements(between(200*time.Millisecond, 240*time.Millisecond))},
		"asks for time":            {times(1, asks("7"), content(good)), HaveExactElements(7 * time.Second)},
		"asks for less than usual": {times(1, asks("0"), content(good)), HaveExactElements(between(200*time.Millisecond, 240*time.Millisecond))},
		"asks until a date": {times(1, asks(time.Now().Add(20*time.Second).UTC().Format(http.TimeFormat)), content(good)),
			HaveExactElements(between(time.Millisecond, 20*time.Second))},
		"asks in no known way": {times(1, asks("soon"), content(good)), HaveExactElements(between(200*time.Millisecond, 240*time.Millisecond))},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			server := newReleaseServer(t, (*httptest.Server).StartTLS)
			server.answer(tarballPath, test.answer)
			catalogue := server.catalogue(t, Options{DownloadTimeout: time.Hour})
			pauses := recordPauses(catalogue)

			_, err := catalogue.Get(t.Context(), testVersion)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(*pauses).To(test.pauses)
		})
	}
}

func TestLookUpsAreRetried(t *testing.T) {
	g := NewWithT(t)
	server := newReleaseServer(t, (*httptest.Server).Start)
	server.answer("/latest", times(3, code(502), redirectTo("/tag/"+testVersion)))
	catalogue := server.catalogue(t, Options{})
	pauses := recordPauses(catalogue)
	g.Expect(chooseLatest(t, catalogue)).To(Equal(&Choice{Version: testVersion}))
	g.Expect(*pauses).To(HaveLen(3))
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

func TestRetriesEndWithTheContext(t *testing.T) {
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	attempts := 0
	err := newRetries().do(ctx, func() error {
		attempts++
		cancel()
		return &transientError{error: errors.New("no luck")}
	})
	g.Expect(err).To(MatchError("no luck"))
	g.Expect(attempts).To(Equal(1))
}
