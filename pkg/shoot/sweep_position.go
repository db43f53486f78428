// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"encoding/json"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// maxNoteBytes bounds what is read of a note, which the shoot's users can write too.
const maxNoteBytes = 4096

// position is where a Sweep is within a kind.
type position struct {
	// UID and Generation are those of the CustomResourceDefinition: the position counts as long as nobody changes its specification,
	// above all the version in which objects are stored.
	UID        types.UID `json:"uid"`
	Generation int64     `json:"generation"`
	// Continue is the API server's token for the page to go on with, and Last is the last object of this page that is done.
	Continue string `json:"continue"`
	Last     string `json:"last,omitempty"`
	// Visited is how many objects come before.
	Visited int64 `json:"visited"`
}

// Begun tells whether the next slice goes on where one before has ended.
func (s *Sweep) Begun(kinds ...Kind) bool {
	for i := range kinds {
		if _, ok := s.position(&kinds[i]); ok {
			return true
		}
	}
	return false
}

// resume returns the kind in which to go on, and where. All kinds before it have been visited.
func (s *Sweep) resume(kinds []Kind) (int, position) {
	for i := len(kinds) - 1; i >= 0; i-- {
		if at, ok := s.position(&kinds[i]); ok {
			return i, at
		}
	}
	return 0, position{}
}

// position returns what a note says, if it counts.
func (s *Sweep) position(kind *Kind) (position, bool) {
	at := position{}
	if json.Unmarshal([]byte(kind.notes[s.Annotation]), &at) != nil || at.Visited < 0 || at.UID != kind.uid || at.Generation != kind.generation {
		return position{}, false
	}
	at.UID, at.Generation = "", 0
	return at, true
}

// note writes where the next slice is to go on, also when the process ends: first the new note, because of two the later one counts.
func (s *Sweep) note(ctx context.Context, c client.Client, kinds []Kind, i int, at position) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), requestTimeout)
	defer cancel()
	at.UID, at.Generation = kinds[i].uid, kinds[i].generation
	note, err := json.Marshal(at)
	if err != nil || s.annotate(ctx, c, &kinds[i], new(string(note))) != nil {
		return
	}
	_ = s.Reset(ctx, c, kinds[:i]...)
}

// Reset removes the notes, so that the next slice begins anew.
func (s *Sweep) Reset(ctx context.Context, c client.Client, kinds ...Kind) error {
	_, err := Slice{}.Do(ctx, len(kinds), func(ctx context.Context, i int) error {
		if _, noted := kinds[i].notes[s.Annotation]; !noted {
			return nil
		}
		return s.annotate(ctx, c, &kinds[i], nil)
	})
	return err
}

// annotate sets the annotation, or removes it if the value is nil. It is no error if the definition is gone.
func (s *Sweep) annotate(ctx context.Context, c client.Client, kind *Kind, value *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": kind.uid, "annotations": map[string]*string{s.Annotation: value}}})
	if err != nil {
		return err
	}
	definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: kind.definition}}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := c.Patch(ctx, definition, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to note in CustomResourceDefinition %s of the shoot how far it is: %w", kind.definition, err)
	}
	if value == nil {
		delete(kind.notes, s.Annotation)
	} else {
		kind.notes[s.Annotation] = *value
	}
	return nil
}
