// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"errors"
	"fmt"
	"io"
	"net/http"
)

// maxResponseBytes bounds what one answer takes of memory. An API server stores no object larger than 1.5 MiB (etcd's
// --max-request-bytes), so that a single object always fits.
const maxResponseBytes = 8 << 20

// errTooLarge is the error of an answer that is longer than maxResponseBytes.
var errTooLarge = errors.New("the answer of the shoot's API server is too long")

// limitResponses stops reading an answer that is too long.
func limitResponses(next http.RoundTripper) http.RoundTripper {
	return &responseLimit{next: next, limit: maxResponseBytes}
}

type responseLimit struct {
	next  http.RoundTripper
	limit int64
}

// RoundTrip implements http.RoundTripper.
func (r *responseLimit) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(request)
	if err == nil {
		response.Body = &limitedBody{ReadCloser: response.Body, limit: r.limit, left: r.limit}
	}
	return response, err
}

type limitedBody struct {
	io.ReadCloser
	limit, left int64
}

// Read implements io.Reader.
func (b *limitedBody) Read(buffer []byte) (int, error) {
	n, err := b.ReadCloser.Read(buffer)
	b.left -= int64(n)
	if b.left < 0 {
		return 0, fmt.Errorf("%w: it has more than %d bytes", errTooLarge, b.limit)
	}
	return n, err
}
