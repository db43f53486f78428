// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// whole is a list of whole objects.
type whole struct{ *list }

func (w whole) List(ctx context.Context, objects client.ObjectList, options ...client.ListOption) error {
	page := &metav1.PartialObjectMetadataList{}
	if err := w.list.List(ctx, page, options...); err != nil {
		return err
	}
	found := objects.(*unstructured.UnstructuredList)
	found.SetContinue(page.Continue)
	for range page.Items {
		found.Items = append(found.Items, unstructured.Unstructured{})
	}
	return nil
}

func TestListWhole(t *testing.T) {
	broken := errors.New("broken")
	for name, c := range map[string]struct {
		list    list
		stop    int
		visited int
		sizes   []int64
		err     string
	}{
		"nothing":                     {list{huge: -1}, 1000, 0, []int64{100}, ""},
		"three pages":                 {list{count: 250, huge: -1}, 1000, 250, []int64{100, 100, 100}, ""},
		"enough":                      {list{count: 250, huge: -1}, 150, 200, []int64{100, 100}, ""},
		"pages above 10 are too long": {list{count: 20, fits: 10, huge: -1}, 1000, 20, []int64{100, 50, 25, 12, 6, 6, 6, 6}, ""},
		"an old list":                 {list{count: 150, huge: -1, fails: []error{nil, expired("100")}}, 1000, 150, []int64{100, 100, 100}, ""},
		"broken":                      {list{count: 5, huge: -1, fails: []error{broken}}, 1000, 0, []int64{100}, "failed to list the objects of kind Thing of the shoot: broken"},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			visited := 0
			err := ListWhole(t.Context(), whole{&c.list}, kind, func(page []unstructured.Unstructured) bool {
				visited += len(page)
				return visited < c.stop
			})
			if c.err == "" {
				g.Expect(err).NotTo(HaveOccurred())
			} else {
				g.Expect(err).To(MatchError(c.err))
			}
			g.Expect(visited).To(Equal(c.visited))
			g.Expect(c.list.sizes).To(Equal(c.sizes))
		})
	}
}
