// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/sync/errgroup"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// sliceDuration is how long one slice of a Sweep holds a worker. The page that is under way is finished.
	sliceDuration = 3 * time.Second
	// parallelVisits is how many objects are visited at the same time.
	parallelVisits = 8
)

// Unfinished is the error of a Sweep that has come to the end of its slice, and goes on with the next one.
type Unfinished struct {
	// Kind is the kind of which objects are being visited.
	Kind string
	// Visited is how many objects of the kind have been visited, and Remaining how many are to be, or 0 if that is not known.
	Visited, Remaining int64
}

// Error says how far it is.
func (u *Unfinished) Error() string {
	if u.Remaining == 0 {
		return fmt.Sprintf("%d objects of kind %s are done, and it goes on by itself", u.Visited, u.Kind)
	}
	return fmt.Sprintf("%d of about %d objects of kind %s are done, and it goes on by itself", u.Visited, u.Visited+u.Remaining, u.Kind)
}

// Slice bounds the time of all that is done for one shoot in one try.
type Slice struct {
	end time.Time
}

// NewSlice returns a slice that begins now.
func NewSlice() Slice {
	return Slice{end: time.Now().Add(sliceDuration)}
}

// Kind is a kind of objects of a shoot that a CustomResourceDefinition defines.
type Kind struct {
	schema.GroupVersionKind
	// definition is the metadata of the CustomResourceDefinition.
	definition metav1.ObjectMeta
}

// KindOf returns the kind of a CustomResourceDefinition as it is in the shoot, in its storage version.
func KindOf(definition *apiextensionsv1.CustomResourceDefinition) Kind {
	kind := Kind{definition: definition.ObjectMeta}
	kind.Group, kind.Kind = definition.Spec.Group, definition.Spec.Names.Kind
	kind.definition.Annotations = maps.Clone(definition.Annotations)
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			kind.Version = version.Name
		}
	}
	return kind
}

// Sweep visits all objects of some kinds in all namespaces of a shoot, with their metadata only. There can be any number of
// them: it goes through them in pages and in slices of some seconds, and where a slice ends, it notes in an annotation of
// the kind's CustomResourceDefinition how far it is. There the next slice goes on, whoever runs it and wherever: the
// note outlives the process and the seed. Each slice gets on by one page at least.
//
// An object that is made meanwhile may be left out, and others are visited again if a slice was interrupted.
type Sweep struct {
	// Annotation is the key of the note. Each purpose has its own.
	Annotation string
	// Visit does the work on one object. It is called for several objects at the same time, and for each at least once.
	Visit func(ctx context.Context, object *metav1.PartialObjectMetadata) error
}

// Run runs one slice. The kinds must be in the same order each time. The client must not cache. It returns an error that is
// an *Unfinished if there is more to do in the next slice, and the error of the first visit that failed.
func (s *Sweep) Run(ctx context.Context, c client.Client, slice Slice, kinds ...Kind) error {
	first, at := s.resume(kinds)
	for i := first; i < len(kinds); i++ {
		began := at
		err := s.sweep(ctx, c, slice, kinds[i], &at)
		if err != nil {
			// The error says more than one about the note, without which more is done again.
			if at != began || i != first {
				s.note(ctx, c, kinds, i, at)
			}
			return err
		}
		at = position{}
	}
	return s.erase(ctx, c, kinds)
}

// sweep visits the objects of one kind from a position on, which it moves.
func (s *Sweep) sweep(ctx context.Context, c client.Client, slice Slice, kind Kind, at *position) error {
	for list := newPages(c, kind.GroupVersionKind, at.Continue); ; {
		objects, err := list.next(ctx)
		if err != nil {
			return err
		}
		if list.restarted {
			at.Visited = 0
		}
		if err := s.visit(ctx, objects); err != nil {
			return err
		}
		at.Continue = list.token
		at.Visited += int64(len(objects))
		switch {
		case list.token == "":
			return nil
		case time.Now().After(slice.end):
			return &Unfinished{Kind: kind.Kind, Visited: at.Visited, Remaining: list.remaining}
		}
	}
}

func (s *Sweep) visit(ctx context.Context, objects []metav1.PartialObjectMetadata) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallelVisits)
	for i := range objects {
		group.Go(func() error { return s.Visit(ctx, &objects[i]) })
	}
	return group.Wait()
}
