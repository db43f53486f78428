// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// Unprotect takes render.Protect back from objects in the shoot, so that Flux may change them from a repository of the shoot's users. That one
// of them, or its kind, is gone is no error. The error is a *shoot.Unfinished if there are more than can be written in a moment: then the
// next call goes on.
func (r Removal) Unprotect(ctx context.Context, applied []corev1.ObjectReference) error {
	objects, err := read(ctx, r.Shoot, applied)
	if err != nil {
		return err
	}
	return annotate(ctx, r.Shoot, objects, annotation{
		change: render.Unprotect, progress: "the objects of Flux are being left to the shoot's users: %w", failed: "failed to leave %s of the shoot to its users: %w",
	})
}

// PreventPruning makes Flux leave itself in the shoot when the Kustomization that deploys it no longer has it, or goes: its controllers would
// be gone in the middle of that, and its CustomResourceDefinitions would take all objects of Flux along. What Flux is, is what has the labels of an
// installation (see ours.go). The error is a *shoot.Unfinished if there are more objects than can be written in a moment: then the next call
// goes on.
func (r Removal) PreventPruning(ctx context.Context) error {
	objects, err := r.readInstallation(ctx, nil)
	if err != nil {
		return err
	}
	namespace, err := read(ctx, r.Shoot, references(namespaceKind, r.Namespace))
	if err != nil {
		return err
	}
	objects = append(objects, namespace...)
	for _, kind := range runningKinds {
		if err := shoot.List(ctx, r.Shoot, kind, func(object *metav1.PartialObjectMetadata) (bool, error) {
			objects = append(objects, *object)
			return len(objects) < maxFound, nil
		}, r.installed(), client.InNamespace(r.Namespace)); err != nil {
			return err
		}
	}
	return annotate(ctx, r.Shoot, objects, annotation{
		change: render.PreventPruning, progress: "what Flux consists of is being kept from its own pruning: %w", failed: "failed to keep Flux from pruning %s of the shoot: %w",
	})
}

// annotation is what is written onto many objects.
type annotation struct {
	// change tells whether an object changes by it.
	change func(client.Object) bool
	// progress is the format of what to say while there is more to do, and failed that of an error about an object.
	progress, failed string
}

func annotate(ctx context.Context, c client.Client, objects []metav1.PartialObjectMetadata, a annotation) error {
	var before, after []*metav1.PartialObjectMetadata
	for i := range objects {
		if object := objects[i].DeepCopy(); a.change(object) {
			before, after = append(before, &objects[i]), append(after, object)
		}
	}
	done, err := shoot.NewSlice().Do(ctx, len(before), func(ctx context.Context, i int) error {
		if err := c.Patch(ctx, after[i], client.MergeFrom(before[i])); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf(a.failed, describe(before[i]), err)
		}
		return nil
	})
	if err == nil && done < len(before) {
		return fmt.Errorf(a.progress, &shoot.Unfinished{Kind: before[done].Kind, Visited: int64(done), Remaining: int64(len(before) - done)})
	}
	return err
}
