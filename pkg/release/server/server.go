// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package server is the source of the releases on a release server, which is Flux's at GitHub or a mirror with the same layout.
// What comes from it is verified by the checksums that it publishes.
package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/download"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/export"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/version"
)

const (
	// Origin is what a release is said to come from.
	Origin = "downloaded"
	// DefaultURL is the address of Flux's own releases.
	DefaultURL = "https://github.com/fluxcd/flux2/releases"

	maxChecksumBytes = 1 << 20
)

// Source is the source of releases on a server with the layout of Flux's releases at GitHub:
//
//	<base>/latest                                           redirects to …/<version>
//	<base>/download/<version>/manifests.tar.gz
//	<base>/download/<version>/flux_<version without v>_checksums.txt
type Source struct {
	base      *url.URL
	transport http.RoundTripper
	limits    download.Limits
	render    func(tag string, files map[string][]byte) ([]byte, error)
}

// New returns the source with a base URL, which uses a transport of package download, and renders the files of a release with a
// function such as export.Render.
func New(baseURL string, transport http.RoundTripper, limits download.Limits, render func(tag string, files map[string][]byte) ([]byte, error)) (*Source, error) {
	base, err := url.Parse(baseURL)
	if err != nil {
		// The text can hold a password, and the error of url.Parse repeats it.
		return nil, errors.New("the base URL of the Flux releases can't be parsed: write it as https://host/path")
	}
	if base.Scheme != "https" && base.Scheme != "http" || base.Host == "" || base.RawQuery != "" || base.Fragment != "" {
		return nil, fmt.Errorf("the base URL of the Flux releases must look like https://host/path, but is %q", base.Redacted())
	}
	return &Source{base: base, transport: transport, limits: limits, render: render}, nil
}

// Origin returns Origin.
func (s *Source) Origin() string { return Origin }

// Location returns the URL of a version, or of what tells the latest one.
func (s *Source) Location(tag string) string {
	if tag == "" {
		return s.base.JoinPath("latest").Redacted()
	}
	return s.tarballURL(tag).Redacted()
}

func (s *Source) tarballURL(tag string) *url.URL {
	return s.base.JoinPath("download", tag, export.Archive)
}

// Get downloads the files of a release, and renders its manifests.
func (s *Source) Get(ctx context.Context, tag string) (manifests []byte, reference string, err error) {
	tarball, err := s.tarball(ctx, tag)
	if err != nil {
		return nil, "", err
	}
	files, err := download.Unpack(tarball, download.TopLevelFile, s.limits)
	if err != nil {
		return nil, "", fmt.Errorf("%s can't be unpacked: %w", s.Location(tag), err)
	}
	if manifests, err = s.render(tag, files); err != nil {
		return nil, "", fmt.Errorf("%s: %w", s.Location(tag), err)
	}
	return manifests, s.Location(tag), nil
}

// tarball downloads the manifests.tar.gz of a version, and returns it if it has the checksum that the server says.
func (s *Source) tarball(ctx context.Context, tag string) ([]byte, error) {
	checksumsURL := s.base.JoinPath("download", tag, "flux_"+strings.TrimPrefix(tag, "v")+"_checksums.txt")
	checksums, err := s.read(ctx, checksumsURL, maxChecksumBytes)
	if err != nil {
		return nil, err
	}
	want, err := findChecksum(checksums, export.Archive)
	if err != nil {
		return nil, failure.Mark(failure.ErrRefused, fmt.Errorf("%s: %s has %w", checksumsURL.Redacted(), export.Archive, err))
	}

	tarball, err := s.read(ctx, s.tarballURL(tag), s.limits.MaxDownloadBytes)
	if err != nil {
		return nil, err
	}
	if got := sha256.Sum256(tarball); !bytes.Equal(got[:], want) {
		return nil, failure.New(failure.ErrRefused, fmt.Sprintf("%s has the SHA-256 %x, but %s says %x", s.Location(tag), got, checksumsURL.Redacted(), want))
	}
	return tarball, nil
}

// findChecksum returns the SHA-256 that a checksums file, in the format of the program sha256sum, has for a file.
func findChecksum(checksums []byte, name string) ([]byte, error) {
	var found []byte
	for line := range strings.Lines(string(checksums)) {
		fields := strings.Fields(line)
		if len(fields) != 2 || strings.TrimPrefix(fields[1], "*") != name {
			continue
		}
		sum, err := hex.DecodeString(fields[0])
		if err != nil || len(sum) != 32 {
			return nil, errors.New("malformed checksum")
		}
		if found != nil && !bytes.Equal(found, sum) {
			return nil, errors.New("two different checksums")
		}
		found = sum
	}
	if found == nil {
		return nil, errors.New("no checksum (releases of Flux have one since v0.25.3)")
	}
	return found, nil
}

// Versions returns the one version that the server calls the latest release. It follows redirects until one leads to a version.
func (s *Source) Versions(ctx context.Context) ([]string, error) {
	client := &http.Client{Transport: s.transport, CheckRedirect: func(request *http.Request, _ []*http.Request) error {
		if tagAtEnd(request.URL) != "" {
			return http.ErrUseLastResponse
		}
		return nil
	}}
	response, err := do(ctx, client, http.MethodHead, s.base.JoinPath("latest"))
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	if location, err := response.Location(); err == nil {
		if tag := tagAtEnd(location); tag != "" {
			return []string{tag}, nil
		}
	}
	return nil, fmt.Errorf("%s %w, not with a redirect to a release", s.Location(""), &download.StatusError{Code: response.StatusCode})
}

// tagAtEnd returns the last element of an URL's path if it is the tag of a release, else an empty string.
func tagAtEnd(target *url.URL) string {
	if tag := path.Base(target.Path); version.IsTag(tag) {
		return tag
	}
	return ""
}

// read returns what is at an URL, if it is not more than limit bytes.
func (s *Source) read(ctx context.Context, target *url.URL, limit int64) ([]byte, error) {
	response, err := do(ctx, &http.Client{Transport: s.transport}, http.MethodGet, target)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()

	where := target.Redacted()
	switch status := (&download.StatusError{Code: response.StatusCode}); {
	case status.Code == http.StatusNotFound || status.Code == http.StatusGone:
		return nil, failure.Mark(failure.ErrNotFound, fmt.Errorf("%s %w", where, status))
	case status.Code != http.StatusOK:
		return nil, fmt.Errorf("%s %w", where, status)
	case response.ContentLength > limit:
		return nil, fmt.Errorf("%s: %w", where, download.TooBig(limit))
	}
	content, err := io.ReadAll(io.LimitReader(response.Body, limit+1))
	if err == nil {
		// A server can end its answer in order while the timeout ends the connection.
		err = ctx.Err()
	}
	if err == nil && int64(len(content)) > limit {
		err = download.TooBig(limit)
	}
	if err != nil {
		return nil, download.Locate(ctx, where, err)
	}
	return content, nil
}

func do(ctx context.Context, client *http.Client, method string, target *url.URL) (*http.Response, error) {
	request, err := http.NewRequestWithContext(ctx, method, target.String(), nil)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", download.UserAgent)
	response, err := client.Do(request)
	if err != nil {
		return nil, download.Locate(ctx, target.Redacted(), err)
	}
	return response, nil
}
