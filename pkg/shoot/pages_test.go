// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var kind = schema.GroupVersionKind{Group: "example.org", Version: "v1", Kind: "Thing"}

// list is an API server with some objects, whose tokens are the numbers of the objects with which a page begins.
type list struct {
	client.Reader
	count int64
	// fits is how many objects an answer can hold. Object huge fits nowhere.
	fits, huge int64
	// fails returns errors, one for each request.
	fails []error
	sizes []int64
}

func (l *list) List(_ context.Context, objects client.ObjectList, options ...client.ListOption) error {
	opts := (&client.ListOptions{}).ApplyOptions(options)
	l.sizes = append(l.sizes, opts.Limit)
	if len(l.fails) > 0 {
		err := l.fails[0]
		l.fails = l.fails[1:]
		if err != nil {
			return err
		}
	}
	first, _ := strconv.ParseInt(opts.Continue, 10, 64)
	next := min(first+opts.Limit, l.count)
	if l.fits > 0 && next-first > l.fits || l.huge >= first && l.huge < next {
		return fmt.Errorf("unexpected error when reading response body: %w", errTooLarge)
	}
	page := objects.(*metav1.PartialObjectMetadataList)
	for i := first; i < next; i++ {
		page.Items = append(page.Items, metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("thing-%04d", i)}})
	}
	if next < l.count {
		page.Continue, page.RemainingItemCount = fmt.Sprint(next), new(l.count-next)
	}
	return nil
}

func expired(token string) error {
	err := apierrors.NewResourceExpired("the continue parameter is too old")
	err.ErrStatus.Continue = token
	return err
}

func TestListInPages(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		list    list
		visited int
		sizes   []int64
		err     string
	}{
		"nothing":                        {list{huge: -1}, 0, []int64{100}, ""},
		"one page":                       {list{count: 100, huge: -1}, 100, []int64{100}, ""},
		"three pages":                    {list{count: 250, huge: -1}, 250, []int64{100, 100, 100}, ""},
		"large objects":                  {list{count: 120, fits: 40, huge: -1}, 120, []int64{100, 50, 25, 25, 25, 25, 25}, ""},
		"an object too large to be":      {list{count: 10, huge: 0}, 0, []int64{100, 50, 25, 12, 6, 3, 1}, "too long"},
		"the list has become old":        {list{count: 120, huge: -1, fails: []error{nil, expired("100")}}, 120, []int64{100, 100, 100}, ""},
		"the list begins anew":           {list{count: 120, huge: -1, fails: []error{nil, expired("")}}, 220, []int64{100, 100, 100, 100}, ""},
		"the token is not understood":    {list{count: 120, huge: -1, fails: []error{nil, apierrors.NewBadRequest("continue key is not valid")}}, 220, []int64{100, 100, 100, 100}, ""},
		"the first request is no good":   {list{count: 120, huge: -1, fails: []error{apierrors.NewBadRequest("no")}}, 0, []int64{100}, "failed to list the objects of kind Thing of the shoot: no"},
		"the API server does not work":   {list{count: 120, huge: -1, fails: []error{nil, broken}}, 100, []int64{100, 100}, "failed to list the objects of kind Thing of the shoot: broken"},
		"it becomes old again and again": {list{count: 120, huge: -1, fails: old(20)}, 100, sizes(1 + maxPageTries), "too old"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			visited := 0
			err := List(t.Context(), &c.list, kind, func(object *metav1.PartialObjectMetadata) (bool, error) {
				g.Expect(object.GroupVersionKind()).To(Equal(kind))
				visited++
				return true, nil
			})
			if c.err == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(ContainSubstring(c.err)))
			}
			g.Expect(visited).To(Equal(c.visited))
			g.Expect(c.list.sizes).To(Equal(c.sizes))
		})
	}
}

func old(times int) []error {
	errs := []error{nil}
	for range times {
		errs = append(errs, expired("100"))
	}
	return errs
}

func sizes(count int) []int64 {
	sizes := make([]int64, count)
	for i := range sizes {
		sizes[i] = pageSize
	}
	return sizes
}

func TestListStops(t *testing.T) {
	g := NewWithT(t)
	things := &list{count: 1000, huge: -1}
	visited := 0
	g.Expect(List(t.Context(), things, kind, func(*metav1.PartialObjectMetadata) (bool, error) {
		visited++
		return visited < 3, nil
	})).To(Succeed())
	g.Expect(visited).To(Equal(3))
	g.Expect(things.sizes).To(HaveLen(1))
	broken := errors.New("broken")
	g.Expect(List(t.Context(), things, kind, func(*metav1.PartialObjectMetadata) (bool, error) { return true, broken })).To(MatchError(broken))
}

func TestResponseLimit(t *testing.T) {
	for length, tooLong := range map[int]bool{0: false, 9: false, 10: false, 11: true, 1000: true} {
		t.Run(fmt.Sprint(length), func(t *testing.T) {
			g := NewWithT(t)
			limit := &responseLimit{limit: 10, next: roundTripper(func(*http.Request) (*http.Response, error) {
				return &http.Response{Body: io.NopCloser(strings.NewReader(strings.Repeat("x", length)))}, nil
			})}
			response, err := limit.RoundTrip(nil)
			g.Expect(err).NotTo(HaveOccurred())
			body, err := io.ReadAll(response.Body)
			if tooLong {
				g.Expect(err).To(MatchError(errTooLarge))
				g.Expect(err).To(MatchError("the answer of the shoot's API server is too long: it has more than 10 bytes"))
				return
			}
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(body).To(HaveLen(length))
		})
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
