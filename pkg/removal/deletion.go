// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// deletion deletes objects of the shoot, as many as its slice allows. What is being deleted is what the next one goes on after.
type deletion struct {
	Removal

	slice   shoot.Slice
	options []client.DeleteOption

	// left are the objects that are not gone yet.
	left Left
	// deleted is how many objects it has begun to delete.
	deleted int64
}

func (r Removal) newDeletion(options ...client.DeleteOption) *deletion {
	return &deletion{Removal: r, slice: shoot.NewSlice(), options: options}
}

// delete deletes what of some objects is not being deleted yet. The error is a *shoot.Unfinished if that is too much for the slice.
func (d *deletion) delete(ctx context.Context, objects []metav1.PartialObjectMetadata) error {
	var due []*metav1.PartialObjectMetadata
	for i := range objects {
		if objects[i].DeletionTimestamp == nil {
			due = append(due, &objects[i])
		}
	}
	done, err := d.slice.Do(ctx, len(due), func(ctx context.Context, i int) error {
		if err := d.Shoot.Delete(ctx, due[i].DeepCopy(), d.options...); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("failed to delete %s of the shoot: %w", describe(due[i]), err)
		}
		return nil
	})
	d.deleted += int64(done)
	if err != nil {
		return err
	}
	if done < len(due) {
		return &shoot.Unfinished{Kind: due[done].Kind, Visited: d.deleted}
	}
	for _, object := range due {
		object.DeletionTimestamp = new(metav1.Now())
	}
	for i := range objects {
		d.left.add(&objects[i])
	}
	return nil
}

// deleteLabelled deletes what of a kind in Flux's namespace has the labels of an installation. Where only objects that are already being
// deleted fill the slice, the others wait for those.
func (d *deletion) deleteLabelled(ctx context.Context, gvk schema.GroupVersionKind) error {
	return shoot.ListPages(ctx, d.Shoot, gvk, func(objects []metav1.PartialObjectMetadata) (bool, error) {
		if err := d.delete(ctx, objects); err != nil {
			return false, err
		}
		if d.slice.Over() && d.deleted > 0 {
			return false, &shoot.Unfinished{Kind: gvk.Kind, Visited: d.deleted}
		}
		return !d.slice.Over() || len(d.left) == 0, nil
	}, d.installed(), client.InNamespace(d.Namespace))
}

// read returns the metadata of those of some objects that exist. All of them are read, also by a slow API server: they are not more than an
// installation has.
func read(ctx context.Context, c client.Reader, references []corev1.ObjectReference) ([]metav1.PartialObjectMetadata, error) {
	found := make([]*metav1.PartialObjectMetadata, len(references))
	_, err := shoot.Slice{}.Do(ctx, len(references), func(ctx context.Context, i int) error {
		object := &metav1.PartialObjectMetadata{}
		object.SetGroupVersionKind(references[i].GroupVersionKind())
		switch err := c.Get(ctx, client.ObjectKey{Namespace: references[i].Namespace, Name: references[i].Name}, object); {
		case apierrors.IsNotFound(err), meta.IsNoMatchError(err): // it is gone, or even its kind
			return nil
		case err != nil:
			object.Namespace, object.Name = references[i].Namespace, references[i].Name
			return fmt.Errorf("failed to read %s of the shoot: %w", describe(object), err)
		}
		found[i] = object
		return nil
	})
	var objects []metav1.PartialObjectMetadata
	for _, object := range found {
		if object != nil {
			objects = append(objects, *object)
		}
	}
	return objects, err
}
