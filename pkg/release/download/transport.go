// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package download talks to servers that have releases. What comes from them is bounded in size, redirects are few and secure,
// and errors say where something happened without the secrets that can be in URLs and answers.
package download

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

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

const (
	maxRedirects = 5

	// UserAgent is the value of the header User-Agent.
	UserAgent = "gardener-extension-shoot-flux"
)

// Limits bound what is taken from a source.
type Limits struct {
	// MaxDownloadBytes bounds the size of what is downloaded at once. The default is 4 MiB; Flux's have about 50 KiB.
	MaxDownloadBytes int64
	// MaxUnpackedBytes bounds what is in it, and a file of the directory. A render takes some hundred times as much
	// memory. The default is 4 MiB; Flux's have less than 1 MiB.
	MaxUnpackedBytes int64
	// MaxFiles bounds the number of files in it. The default is 100; Flux's have about 10.
	MaxFiles int
}

// transport bounds redirects and sizes, and tells transient failures from others.
type transport struct {
	next     http.RoundTripper
	maxBytes int64
}

// NewTransport returns what talks to servers. Like the default one, it takes the proxy from the environment and bounds the time to
// connect. The file has the certificates of CAs, as PEM, that are trusted besides those of the system.
//
// Answers that say that the server has no time now, and connections that fail, are errors of the kind failure.ErrTransient.
func NewTransport(caFile string, limits Limits) (http.RoundTripper, error) {
	next := http.DefaultTransport.(*http.Transport).Clone()
	// Some servers declare a .tar.gz to be a gzip-encoded .tar, which the transport would then decompress.
	next.DisableCompression = true
	if caFile != "" {
		roots, err := rootsWith(caFile)
		if err != nil {
			return nil, err
		}
		next.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	return &transport{next: next, maxBytes: limits.MaxDownloadBytes}, nil
}

func rootsWith(caFile string) (*x509.CertPool, error) {
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
	return roots, nil
}

// RoundTrip implements http.RoundTripper.
func (t *transport) RoundTrip(request *http.Request) (*http.Response, error) {
	if err := checkRedirects(request); err != nil {
		return nil, err
	}
	response, err := t.next.RoundTrip(request)
	if err != nil {
		return nil, classify(err)
	}
	if code := response.StatusCode; code == http.StatusTooManyRequests || code >= http.StatusInternalServerError {
		_ = response.Body.Close()
		return nil, failure.Mark(failure.ErrTransient, &StatusError{Code: code, RetryAfter: retryAfter(response.Header)})
	}
	response.Body = &body{http.MaxBytesReader(nil, response.Body, t.maxBytes)}
	return response, nil
}

// body is that of an answer, which ends with an error of a kind.
type body struct{ io.ReadCloser }

func (b *body) Read(buffer []byte) (int, error) {
	n, err := b.ReadCloser.Read(buffer)
	if err != nil && !errors.Is(err, io.EOF) {
		err = classify(err)
	}
	return n, err
}

// classify tells failures of the connection from those that are the same next time.
func classify(err error) error {
	var tooBig *http.MaxBytesError
	var certificate *tls.CertificateVerificationError
	var noTLS tls.RecordHeaderError
	switch {
	case errors.As(err, &tooBig):
		return TooBig(tooBig.Limit)
	case errors.As(err, &certificate):
		return fmt.Errorf("%w; the operator can add its CA to the CA file for the Flux releases", certificate)
	case errors.As(err, &noTLS):
		return err
	}
	return failure.Mark(failure.ErrTransient, err)
}

// TooBig refuses what has more bytes than its limit.
func TooBig(limit int64) error {
	return failure.New(failure.ErrRefused, fmt.Sprintf("it is bigger than %d bytes", limit), &http.MaxBytesError{Limit: limit})
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

// StatusError is an answer with a status that is not what was asked for.
type StatusError struct {
	Code int
	// RetryAfter is how long the server asks to wait, or zero.
	RetryAfter time.Duration
}

// Error takes the words from the standard rather than from the server.
func (s *StatusError) Error() string {
	text := strings.TrimSpace(fmt.Sprintf("answered %d %s", s.Code, http.StatusText(s.Code)))
	if s.RetryAfter > 0 {
		text += fmt.Sprintf(" (Retry-After: %s)", s.RetryAfter)
	}
	return text
}

// Locate says what failed, and why. It takes the URL out of an error of package http, because the URL that a server
// redirects to can carry a token, and it says which time was over.
func Locate(ctx context.Context, where string, err error) error {
	// A server can end its answer in order while the timeout ends the connection.
	if ctx.Err() != nil {
		return fmt.Errorf("%s: %w", where, context.Cause(ctx))
	}
	var withURL *url.Error
	if errors.As(err, &withURL) {
		err = withURL.Err
	}
	var status *StatusError
	if errors.As(err, &status) {
		return fmt.Errorf("%s %w", where, err)
	}
	return fmt.Errorf("%s: %w", where, err)
}
