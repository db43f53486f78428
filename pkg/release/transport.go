// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	maxRedirects = 5
	userAgent    = "gardener-extension-shoot-flux"
)

// newTransport returns what talks to the release server and to the OCI registry. Like the default one, it takes the
// proxy from the environment and bounds the time to connect.
func newTransport(caFile string) (*http.Transport, error) {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// Some servers declare a .tar.gz to be a gzip-encoded .tar, which the transport would then decompress.
	transport.DisableCompression = true
	if caFile == "" {
		return transport, nil
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("the CAs of the system can't be read: %w", err)
	}
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, fmt.Errorf("the CA file for the Flux releases can't be read: %w", err)
	}
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("the CA file for the Flux releases has no certificate: %s must have at least one that begins with -----BEGIN CERTIFICATE-----", caFile)
	}
	transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	return transport, nil
}

// guard is a transport that bounds redirects and sizes, and tells transient failures from others.
type guard struct {
	next http.RoundTripper
	// maxBytes bounds each answer. Zero means that the caller does.
	maxBytes int64
}

func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := checkRedirects(request); err != nil {
		return nil, err
	}
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, markTransient(err)
	}
	if code := response.StatusCode; code == http.StatusTooManyRequests || code >= http.StatusInternalServerError {
		_ = response.Body.Close()
		after := retryAfter(response.Header)
		return nil, &transientError{error: &statusError{code: code, retryAfter: after}, retryAfter: after}
	}
	response.Body = &guardedBody{ReadCloser: response.Body, bounded: boundedReader{reader: response.Body, left: g.maxBytes, limit: g.maxBytes}}
	return response, nil
}

// guardedBody is the body of an answer. A connection that is cut off is a transient failure.
type guardedBody struct {
	io.ReadCloser
	bounded boundedReader
}

func (b *guardedBody) Read(buffer []byte) (int, error) {
	read := b.ReadCloser.Read
	if b.bounded.limit > 0 {
		read = b.bounded.Read
	}
	n, err := read(buffer)
	var tooBig *tooBigError
	if err != nil && !errors.Is(err, io.EOF) && !errors.As(err, &tooBig) {
		err = markTransient(err)
	}
	return n, err
}

// markTransient marks failures of the connection, but not those that are the same next time, nor those of a caller that
// has no more time.
func markTransient(err error) error {
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return err
	case errors.As(err, &certificate):
		return fmt.Errorf("%w; the operator can add its CA to the CA file for the Flux releases", certificate)
	case errors.As(err, &noTLS):
		return err
	}
	return &transientError{error: err}
}

// checkRedirects is the policy for redirects: few, over HTTP only, and never from HTTPS to plain HTTP.
func checkRedirects(request *http.Request) error {
	redirects := 0
	for at := request; at.Response != nil && at.Response.Request != nil; at = at.Response.Request {
		redirects++
		switch from, to := at.Response.Request.URL, at.URL; {
		case redirects > maxRedirects:
			return fmt.Errorf("it redirects more than %d times", maxRedirects)
		case to.Scheme != "https" && to.Scheme != from.Scheme:
			return fmt.Errorf("it redirects from %s to %s at %s, which is not secure", from.Scheme, to.Scheme, to.Host)
		}
	}
	return nil
}

// retryAfter returns the value of the header Retry-After, which is a number of seconds or a date.
func retryAfter(header http.Header) time.Duration {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(date).Round(time.Second))
	}
	return 0
}

// statusError is an answer with a status that is not what was asked for.
type statusError struct {
	code       int
	retryAfter time.Duration
}

// Error takes the words from the standard rather than from the server.
func (s *statusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("answered %d %s", s.code, http.StatusText(s.code)))
	if s.retryAfter > 0 {
		text += fmt.Sprintf(" (Retry-After: %s)", s.retryAfter)
	}
	return text
}

// locate says what failed, and why. It takes the URL out of an error of package http, because the URL that a server
// redirects to can carry a token, and it says which time was over.
func locate(ctx context.Context, where string, err error) error {
	// A server can end its answer in order while the timeout ends the connection.
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", where, context.Cause(ctx))
	}
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	var status *statusError
	if errors.As(err, &status) {
		return fmt.Errorf("%s %w", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}

// withTimeout bounds the time of what is asked of a server.
func withTimeout(ctx context.Context, timeout time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, timeout, timeoutError(timeout))
}

type timeoutError time.Duration

func (t timeoutError) Error() string {
	return fmt.Sprintf("no complete answer within %s", time.Duration(t))
}

func (t timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}
