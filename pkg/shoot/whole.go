// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// ListWhole visits the objects of a kind as List does, but with all that they have, and page by page, until visit returns false. A page that
// is too long comes in parts, so that the memory for it is bounded. Where the API server makes the list begin anew, objects are visited
// again.
func ListWhole(ctx context.Context, reader client.Reader, gvk schema.GroupVersionKind, visit func(page []unstructured.Unstructured) (more bool)) error {
	for list := newPages(reader, gvk, ""); ; {
		objects, err := list.nextWhole(ctx)
		if err != nil {
			return err
		}
		if !visit(objects) || list.token == "" {
			return nil
		}
	}
}

// nextWhole returns the next page, as next does.
func (p *pages) nextWhole(ctx context.Context) ([]unstructured.Unstructured, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	for range maxPageTries {
		objects := &unstructured.UnstructuredList{}
		objects.SetGroupVersionKind(p.gvk.GroupVersion().WithKind(p.gvk.Kind + "List"))
		if err = p.reader.List(ctx, objects, client.Limit(p.size), client.Continue(p.token)); err == nil {
			p.token = objects.GetContinue()
			return objects.Items, nil
		}
		if !p.adapt(err) {
			break
		}
	}
	return nil, fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", p.gvk.Kind, err)
}
