// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"slices"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Kind is a kind of objects of a shoot that a CustomResourceDefinition defines. It holds little of that, which anybody in the shoot may
// have made large.
type Kind struct {
	schema.GroupVersionKind
	// definition, uid and generation are those of the CustomResourceDefinition.
	definition string
	uid        types.UID
	generation int64
	// notes are those of Sweeps, by the key of their annotation.
	notes map[string]string
}

// KindOf returns the kind of a CustomResourceDefinition as it is in the shoot, in its storage version, with the notes that Sweeps with
// these annotations have left. A Sweep needs its own.
func KindOf(definition *apiextensionsv1.CustomResourceDefinition, annotations ...string) Kind {
	kind := Kind{definition: definition.Name, uid: definition.UID, generation: definition.Generation, notes: map[string]string{}}
	kind.Group, kind.Kind = definition.Spec.Group, definition.Spec.Names.Kind
	for _, version := range definition.Spec.Versions {
		if version.Storage {
			kind.Version = version.Name
		}
	}
	for _, annotation := range annotations {
		if note, ok := definition.Annotations[annotation]; ok {
			kind.notes[annotation] = note[:min(len(note), maxNoteBytes)]
		}
	}
	return kind
}

// Sweep visits all objects of some kinds in all namespaces of a shoot, with their metadata only. There can be any number of
// them: it goes through them in pages and in slices of some seconds, and where a slice ends, it notes in an annotation of
// the kind's CustomResourceDefinition how far it is. There the next slice goes on, whoever runs it and wherever: the
// note outlives the process and the seed. Each slice gets on by some objects at least.
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
		if slice.Over() && i+1 < len(kinds) {
			s.note(ctx, c, kinds, i+1, position{})
			return &Unfinished{Kind: kinds[i].Kind, Visited: at.Visited}
		}
		at = position{}
	}
	return s.Reset(ctx, c, kinds...)
}

// sweep visits the objects of one kind from a position on, which it moves.
func (s *Sweep) sweep(ctx context.Context, c client.Client, slice Slice, kind Kind, at *position) error {
	for list := newPages(c, kind.GroupVersionKind, at.Continue); ; {
		objects, err := list.next(ctx)
		if err != nil {
			return err
		}
		if list.restarted {
			*at = position{}
		}
		// An API server lists objects in the order of these keys.
		objects = slices.DeleteFunc(objects, func(object metav1.PartialObjectMetadata) bool { return keyOf(&object) <= at.Last })
		done, err := slice.Do(ctx, len(objects), func(ctx context.Context, i int) error { return s.Visit(ctx, &objects[i]) })
		at.Visited += int64(done)
		left := int64(len(objects)-done) + list.remaining
		if done < len(objects) {
			if done > 0 {
				at.Last = keyOf(&objects[done-1])
			}
		} else {
			at.Continue, at.Last = list.token, ""
		}
		switch {
		case err != nil:
			return err
		case done == len(objects) && list.token == "":
			return nil
		case done < len(objects) || slice.Over():
			return &Unfinished{Kind: kind.Kind, Visited: at.Visited, Remaining: left}
		}
	}
}

func keyOf(object *metav1.PartialObjectMetadata) string {
	return client.ObjectKeyFromObject(object).String()
}
