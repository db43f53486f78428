// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"bytes"
	"encoding/json"
	"fmt"
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
	if request.Body == nil || request.Method == http.MethodDelete || !strings.HasPrefix(request.URL.Path, "/apis/apiextensions.k8s.io/") {
		return r.next.RoundTrip(request)
	}
	content, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	if err := request.Body.Close(); err != nil {
		return nil, err
	}
	if content, err = withoutDescriptions(content); err != nil {
		return nil, err
	}
	request = request.Clone(request.Context())
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(content)), int64(len(content))
	request.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }
	return r.next.RoundTrip(request)
}

// withoutDescriptions removes them from the schemas of a definition.
func withoutDescriptions(content []byte) ([]byte, error) {
	definition := map[string]any{}
	decoder := json.NewDecoder(bytes.NewReader(content))
	decoder.UseNumber()
	if err := decoder.Decode(&definition); err != nil {
		return nil, fmt.Errorf("a CustomResourceDefinition can't be read: %w", err)
	}
	spec, _ := definition["spec"].(map[string]any)
	versions, _ := spec["versions"].([]any)
	for _, version := range versions {
		if version, ok := version.(map[string]any); ok {
			removeDescriptions(version["schema"])
		}
	}
	return json.Marshal(definition)
}

// removeDescriptions removes them from a schema and those in it. A field that has the name description is a schema, not a text.
func removeDescriptions(schema any) {
	switch schema := schema.(type) {
	case map[string]any:
		if _, ok := schema["description"].(string); ok {
			delete(schema, "description")
		}
		for key, nested := range schema {
			if key != "default" && key != "enum" && key != "example" { // values, not schemas
				removeDescriptions(nested)
			}
		}
	case []any:
		for _, nested := range schema {
			removeDescriptions(nested)
		}
	}
}
