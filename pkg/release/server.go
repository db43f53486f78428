// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

const (
	tarballName      = "manifests.tar.gz"
	maxRedirects     = 5
	maxChecksumBytes = 1 << 20
	userAgent        = "gardener-extension-shoot-flux"
)

// server is a release server with the layout of Flux's releases at GitHub:
//
//	<base>/latest                                           redirects to …/<version>
//	<base>/download/<version>/manifests.tar.gz
//	<base>/download/<version>/flux_<version without v>_checksums.txt
type server struct {
	base            *url.URL
	client          *http.Client
	downloadTimeout time.Duration
	lookupTimeout   time.Duration
	maxDownload     int64
}

// tarball downloads the manifests.tar.gz of a version, and returns it if it has the checksum that the server says.
func (s *server) tarball(ctx context.Context, version string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.downloadTimeout, timeoutError(s.downloadTimeout))
	defer cancel()

	checksumsURL := s.base.JoinPath("download", version, "flux_"+strings.TrimPrefix(version, "v")+"_checksums.txt")
	checksums, err := s.get(ctx, checksumsURL, maxChecksumBytes)
	if err != nil {
		return nil, err
	}
	want, err := findChecksum(checksums, tarballName)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %s has %w", checksumsURL.Redacted(), tarballName, err)}
	}

	tarballURL := s.tarballURL(version)
	tarball, err := s.get(ctx, tarballURL, s.maxDownload)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(tarball); !bytes.Equal(got[:], want) {
		return nil, &refusedError{fmt.Errorf("%s has the SHA-256 %x, but %s says %x", tarballURL.Redacted(), got, checksumsURL.Redacted(), want)}
	}
	return tarball, nil
}

func (s *server) tarballURL(version string) *url.URL {
	return s.base.JoinPath("download", version, tarballName)
}

// latest returns the version that the server calls the latest release.
func (s *server) latest(ctx context.Context) (string, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.lookupTimeout, timeoutError(s.lookupTimeout))
	defer cancel()

	target := s.base.JoinPath("latest")
	client := *s.client
	client.CheckRedirect = func(request *http.Request, via []*http.Request) error {
		if versionAtEnd(request.URL) != "" {
			return http.ErrUseLastResponse
		}
		return checkRedirect(request, via)
	}
	response, err := s.do(ctx, &client, http.MethodHead, target)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if location, err := response.Location(); err == nil {
		if version := versionAtEnd(location); version != "" {
			return version, nil
		}
	}
	return "", fmt.Errorf("%s answered %s, not with a redirect to a release", target.Redacted(), status(response))
}

// status takes the words from the standard rather than from the server.
func status(response *http.Response) string {
	return strings.TrimSpace(fmt.Sprintf("%d %s", response.StatusCode, http.StatusText(response.StatusCode)))
}

// versionAtEnd returns the last element of an URL's path if it is a version, else an empty string.
func versionAtEnd(target *url.URL) string {
	version := path.Base(target.Path)
	if checkVersion(version) != nil {
		return ""
	}
	return version
}

// get returns what is at an URL, if it is not more than limit bytes.
func (s *server) get(ctx context.Context, target *url.URL, limit int64) ([]byte, error) {
	response, err := s.do(ctx, s.client, http.MethodGet, target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()

	switch {
	case response.StatusCode == http.StatusNotFound || response.StatusCode == http.StatusGone:
		return nil, &notFoundError{fmt.Errorf("%s answered %s", target.Redacted(), status(response))}
	case response.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("%s answered %s", target.Redacted(), status(response))
	case response.ContentLength > limit:
		return nil, &refusedError{fmt.Errorf("%s: %w", target.Redacted(), errTooBig(limit))}
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil {
		// A server can end its answer in order while the timeout ends the connection.
		err = ctx.Err()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", target.Redacted(), plainCause(ctx, err))
	}
	if int64(len(content)) > limit {
		return nil, &refusedError{fmt.Errorf("%s: %w", target.Redacted(), errTooBig(limit))}
	}
	return content, nil
}

func (s *server) do(ctx context.Context, client *http.Client, method string, target *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	// Some servers declare a .tar.gz to be a gzip-encoded .tar. Without this, the transport would then decompress it.
	request.Header.Set("Accept-Encoding", "identity")
	response, err := client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", target.Redacted(), plainCause(ctx, err))
	}
	return response, nil
}

// plainCause takes the URL out of an error of package http, because the URL that a server redirects to can carry a
// token, and says which time was over.
func plainCause(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var withURL *url.Error
	if errors.As(err, &withURL) {
		return withURL.Err
	}
	return err
}

// checkRedirect is the policy for redirects: few, over HTTP only, and never from HTTPS to plain HTTP.
func checkRedirect(request *http.Request, via []*http.Request) error {
	switch from, to := via[len(via)-1].URL, request.URL; {
	case len(via) > maxRedirects:
		return fmt.Errorf("it redirects more than %d times", maxRedirects)
	case to.Scheme != "https" && to.Scheme != from.Scheme:
		return fmt.Errorf("it redirects from %s to %s at %s, which is not secure", from.Scheme, to.Scheme, to.Host)
	}
	return nil
}

type timeoutError time.Duration

func (t timeoutError) Error() string {
	return fmt.Sprintf("no complete answer within %s", time.Duration(t))
}

func (t timeoutError) Is(target error) bool {
	return target == context.DeadlineExceeded
}

// notFoundError marks an answer of a server that does not have what it was asked for.
type notFoundError struct{ error }

// localError marks a failure of this machine, such as a directory that can't be written.
type localError struct{ error }

// refusedError marks an answer of a server that is complete, but not acceptable.
type refusedError struct{ error }

func (n *notFoundError) Unwrap() error { return n.error }
func (l *localError) Unwrap() error    { return l.error }
func (r *refusedError) Unwrap() error  { return r.error }
