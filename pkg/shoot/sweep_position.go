// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// maxNoteBytes bounds what is read of a note, which the shoot's users can write too.
	maxNoteBytes = 4096
	// noteTimeout bounds the writing of a note when the process ends.
	noteTimeout = 5 * time.Second
)

// position is where a Sweep is within a kind.
type position struct {
	// UID and Generation are those of the CustomResourceDefinition: the position counts as long as nobody changes its specification,
	// above all the version in which objects are stored.
	UID        types.UID `json:"uid"`
	Generation int64     `json:"generation"`
	// Continue is the API server's token for the next page.
	Continue string `json:"continue"`
	// Visited is how many objects come before.
	Visited int64 `json:"visited"`
}

// resume returns the kind in which to go on, and where. All kinds before it have been visited.
func (s *Sweep) resume(kinds []Kind) (int, position) {
	for i := len(kinds) - 1; i >= 0; i-- {
		definition := kinds[i].definition
		note := definition.Annotations[s.Annotation]
		if note == "" || len(note) > maxNoteBytes {
			continue
		}
		at := position{}
		if json.Unmarshal([]byte(note), &at) == nil && at.Visited >= 0 && at.UID == definition.UID && at.Generation == definition.Generation {
			return i, position{Continue: at.Continue, Visited: at.Visited}
		}
	}
	return 0, position{}
}

// note writes where the next slice is to go on: first the new note, because of two the later one counts.
func (s *Sweep) note(ctx context.Context, c client.Client, kinds []Kind, i int, at position) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), noteTimeout)
	defer cancel()
	at.UID, at.Generation = kinds[i].definition.UID, kinds[i].definition.Generation
	note, err := json.Marshal(at)
	if err != nil || s.annotate(ctx, c, &kinds[i], new(string(note))) != nil {
		return
	}
	_ = s.erase(ctx, c, kinds[:i])
}

// Reset lets the next slice begin anew.
func (s *Sweep) Reset(ctx context.Context, c client.Client, kinds ...Kind) error {
	return s.erase(ctx, c, kinds)
}

// erase removes the notes, so that the next sweep begins anew.
func (s *Sweep) erase(ctx context.Context, c client.Client, kinds []Kind) error {
	var errs []error
	for i := range kinds {
		if _, noted := kinds[i].definition.Annotations[s.Annotation]; noted {
			errs = append(errs, s.annotate(ctx, c, &kinds[i], nil))
		}
	}
	return errors.Join(errs...)
}

// annotate sets the annotation, or removes it if the value is nil. It is no error if the definition is gone.
func (s *Sweep) annotate(ctx context.Context, c client.Client, kind *Kind, value *string) error {
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": kind.definition.UID, "annotations": map[string]*string{s.Annotation: value}}})
	if err != nil {
		return err
	}
	definition := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: kind.definition.Name}}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if err := c.Patch(ctx, definition, client.RawPatch(types.MergePatchType, patch)); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to note in CustomResourceDefinition %s of the shoot how far it is: %w", definition.Name, err)
	}
	if value == nil {
		delete(kind.definition.Annotations, s.Annotation)
	} else {
		metav1.SetMetaDataAnnotation(&kind.definition, s.Annotation, *value)
	}
	return nil
}
