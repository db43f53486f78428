// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"k8s.io/client-go/rest"
)

// WithoutDescriptions returns the config of a client that leaves out the descriptions of fields when it writes CustomResourceDefinitions. Of those of
// Flux they are two thirds, which an API server reads, and keeps, again and again: it is busy with that for most of a test. Without them, it
// checks and stores objects in the same way.
func WithoutDescriptions(config *rest.Config) *rest.Config {
	config = rest.CopyConfig(config)
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { return &descriptionRemover{next} })
	return config
}

type descriptionRemover struct{ next http.RoundTripper }

func (r *descriptionRemover) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Body == nil || !strings.HasPrefix(request.URL.Path, "/apis/apiextensions.k8s.io/") {
		return r.next.RoundTrip(request)
	}
	content, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if err := request.Body.Close(); err != nil {
		return nil, err
	}
	var definition any
	// What can't be decoded is for the API server to refuse.
	if json.Unmarshal(content, &definition) == nil {
		if content, err = json.Marshal(removeDescriptions(definition)); err != nil {
			return nil, err
		}
	}
	request = request.Clone(request.Context())
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return r.next.RoundTrip(request)
}

// removeDescriptions removes them from schemas. A field that has the name description is a schema, not a text.
func removeDescriptions(value any) any {
	switch value := value.(type) {
	case map[string]any:
		if _, ok := value["description"].(string); ok {
			delete(value, "description")
		}
		for _, nested := range value {
			removeDescriptions(nested)
		}
	case []any:
		for _, nested := range value {
			removeDescriptions(nested)
		}
	}
	return value
}
