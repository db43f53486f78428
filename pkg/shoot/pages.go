// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// pageSize is how many objects are listed at once. The API server reads all of each object, of which we get the metadata.
	pageSize = 100
	// maxPageTries bounds how often one page is asked for: in halves, as long as it is too long, and where the list has become old.
	maxPageTries = 16
)

// List visits the objects of a kind, with their metadata only, until visit returns false or an error. It reads them in pages.
func List(ctx context.Context, reader client.Reader, gvk schema.GroupVersionKind, visit func(*metav1.PartialObjectMetadata) (more bool, err error), options ...client.ListOption) error {
	return ListPages(ctx, reader, gvk, func(objects []metav1.PartialObjectMetadata) (bool, error) {
		for i := range objects {
			if more, err := visit(&objects[i]); err != nil || !more {
				return false, err
			}
		}
		return true, nil
	}, options...)
}

// ListPages does what List does, with all objects of a page at once.
func ListPages(ctx context.Context, reader client.Reader, gvk schema.GroupVersionKind, visit func([]metav1.PartialObjectMetadata) (more bool, err error), options ...client.ListOption) error {
	for list := newPages(reader, gvk, "", options...); ; {
		objects, err := list.next(ctx)
		if err != nil {
			return err
		}
		if more, err := visit(objects); err != nil || !more || list.token == "" {
			return err
		}
	}
}

// pages is a list that is read in pages.
type pages struct {
	reader  client.Reader
	gvk     schema.GroupVersionKind
	options []client.ListOption
	size    int64

	// token says where the next page begins. It is empty at the begin, and after the last page.
	token string
	// restarted tells that the list had to begin anew, because the API server did not understand the token.
	restarted bool
	// remaining is how many objects there are after the last page, if the API server says so.
	remaining int64
}

// newPages reads a list from where a token says, which may be from long ago.
func newPages(reader client.Reader, gvk schema.GroupVersionKind, token string, options ...client.ListOption) *pages {
	return &pages{reader: reader, gvk: gvk, token: token, options: options, size: pageSize}
}

// next returns the next page.
func (p *pages) next(ctx context.Context) ([]metav1.PartialObjectMetadata, error) {
	// An API server that is not ready for a list says so, and client-go then asks again for some time.
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	p.restarted = false
	var err error
	for range maxPageTries {
		objects := &metav1.PartialObjectMetadataList{}
		objects.SetGroupVersionKind(p.gvk.GroupVersion().WithKind(p.gvk.Kind + "List"))
		err = p.reader.List(ctx, objects, append([]client.ListOption{client.Limit(p.size), client.Continue(p.token)}, p.options...)...)
		if err == nil {
			return p.accept(objects), nil
		}
		if !p.adapt(err) {
			break
		}
	}
	return nil, fmt.Errorf("failed to list the objects of kind %s of the shoot: %w", p.gvk.Kind, err)
}

func (p *pages) accept(objects *metav1.PartialObjectMetadataList) []metav1.PartialObjectMetadata {
	p.token, p.remaining = objects.Continue, 0
	if objects.RemainingItemCount != nil {
		p.remaining = *objects.RemainingItemCount
	}
	for i := range objects.Items {
		objects.Items[i].SetGroupVersionKind(p.gvk)
	}
	return objects.Items
}

// adapt tells whether the page can be had in another way.
func (p *pages) adapt(err error) bool {
	switch {
	case errors.Is(err, errTooLarge) && p.size > 1:
		p.size /= 2
	case apierrors.IsResourceExpired(err) && p.token != "":
		// The API server has forgotten the state of then, and says how to go on from the same place in that of now
		// (https://kubernetes.io/docs/reference/using-api/api-concepts/#retrieving-large-results-sets-in-chunks).
		p.token = continueOf(err)
		p.restarted = p.token == ""
	case apierrors.IsBadRequest(err) && p.token != "":
		p.token, p.restarted = "", true
	default:
		return false
	}
	return true
}

func continueOf(err error) string {
	if status, ok := errors.AsType[*apierrors.StatusError](err); ok {
		return status.ErrStatus.Continue
	}
	return ""
}
