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
	maxChecksumBytes = 1 << 20
)

// server is the source of releases on a server with the layout of Flux's releases at GitHub:
//
//	<base>/latest                                           redirects to …/<version>
//	<base>/download/<version>/manifests.tar.gz
//	<base>/download/<version>/flux_<version without v>_checksums.txt
type server struct {
	base            *url.URL
	transport       http.RoundTripper
	downloadTimeout time.Duration
	lookupTimeout   time.Duration
	maxDownload     int64
	limits          unpackLimits
	retries         *retries
	renderer        *renderer
}

func parseBaseURL(text string) (*url.URL, error) {
	base, err := url.Parse(text)
	if err != nil {
		// The text can hold a password, and the error of url.Parse repeats it.
		return nil, errors.New("the base URL of the Flux releases can't be parsed: write it as https://host/path")
	}
	if base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the base URL of the Flux releases must look like https://host/path, but is %q", base.Redacted())
	}
	return base, nil
}

func (s *server) where(version string) string {
	return s.tarballURL(version).Redacted()
}

func (s *server) get(ctx context.Context, version string) (*Release, error) {
	tarball, err := s.tarball(ctx, version)
	if err != nil {
		return nil, err
	}
	files, err := unpack(tarball, topLevelFile, s.limits)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s can't be unpacked: %w", s.where(version), err)}
	}
	manifests, err := s.renderer.render(version, files)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", s.where(version), err)
	}
	return newRelease(version, OriginDownloaded, s.where(version), manifests), nil
}

// tarball downloads the manifests.tar.gz of a version, and returns it if it has the checksum that the server says.
func (s *server) tarball(ctx context.Context, version string) ([]byte, error) {
	ctx, cancel := withTimeout(ctx, s.downloadTimeout)
	defer cancel()

	checksumsURL := s.base.JoinPath("download", version, "flux_"+strings.TrimPrefix(version, "v")+"_checksums.txt")
	checksums, err := s.read(ctx, checksumsURL, maxChecksumBytes)
	if err != nil {
		return nil, err
	}
	want, err := findChecksum(checksums, tarballName)
	if err != nil {
		return nil, &refusedError{fmt.Errorf("%s: %s has %w", checksumsURL.Redacted(), tarballName, err)}
	}

	tarballURL := s.tarballURL(version)
	tarball, err := s.read(ctx, tarballURL, s.maxDownload)
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

func (s *server) latestURL() *url.URL {
	return s.base.JoinPath("latest")
}

// latest returns the version that the server calls the latest release.
func (s *server) latest(ctx context.Context) (version string, err error) {
	ctx, cancel := withTimeout(ctx, s.lookupTimeout)
	defer cancel()
	err = s.retries.do(ctx, func() error {
		version, err = s.followToVersion(ctx, s.latestURL())
		return err
	})
	return version, err
}

// followToVersion follows redirects until one leads to a version.
func (s *server) followToVersion(ctx context.Context, target *url.URL) (string, error) {
	client := &http.Client{Transport: s.transport, CheckRedirect: func(request *http.Request, _ []*http.Request) error {
		if versionAtEnd(request.URL) != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	response, err := s.do(ctx, client, http.MethodHead, target)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if location, err := response.Location(); err == nil {
		if version := versionAtEnd(location); version != "" {
			return version, nil
		}
	}
	return "", fmt.Errorf("%s %w, not with a redirect to a release", target.Redacted(), &statusError{code: response.StatusCode})
}

// versionAtEnd returns the last element of an URL's path if it is a version, else an empty string.
func versionAtEnd(target *url.URL) string {
	version := path.Base(target.Path)
	if !isTag(version) {
		return ""
	}
	return version
}

// read returns what is at an URL, if it is not more than limit bytes.
func (s *server) read(ctx context.Context, target *url.URL, limit int64) (content []byte, err error) {
	err = s.retries.do(ctx, func() error {
		content, err = s.readOnce(ctx, target, limit)
		return err
	})
	return content, err
}

func (s *server) readOnce(ctx context.Context, target *url.URL, limit int64) ([]byte, error) {
	response, err := s.do(ctx, &http.Client{Transport: s.transport}, http.MethodGet, target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()

	where := target.Redacted()
	switch status := (&statusError{code: response.StatusCode}); {
	case status.code == http.StatusNotFound || status.code == http.StatusGone:
		return nil, &notFoundError{fmt.Errorf("%s %w", where, status)}
	case status.code != http.StatusOK:
		return nil, fmt.Errorf("%s %w", where, status)
	case response.ContentLength > limit:
		return nil, &refusedError{fmt.Errorf("%s: %w", where, errTooBig(limit))}
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil {
		// A server can end its answer in order while the timeout ends the connection.
		err = ctx.Err()
	}
	if err != nil {
		return nil, locate(ctx, where, err)
	}
	if int64(len(content)) > limit {
		return nil, &refusedError{fmt.Errorf("%s: %w", where, errTooBig(limit))}
	}
	return content, nil
}

func (s *server) do(ctx context.Context, client *http.Client, method string, target *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := client.Do(request)
	if err != nil {
		return nil, locate(ctx, target.Redacted(), err)
	}
	return response, nil
}
