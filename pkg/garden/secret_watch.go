// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// SecretWatch watches the Secrets of one name in all namespaces of the garden: that there is another version of one, because nobody
// needs to hold the content of all of them. As with ConfigMapWatch, a right that is restricted to the name suffices.
type SecretWatch struct {
	// Access is the way into the garden.
	Access *Access
	// Name is the name of the Secrets.
	Name string
	// Seen is called with each Secret that exists when the watch begins or is created later, with old being nil, and with
	// each one that is updated. It is also called now and then with one that has not changed. Deletions are not told. Of a Secret,
	// namespace, name, UID and resource version are known, and what Note has added.
	Seen func(ctx context.Context, old, secret *metav1.PartialObjectMetadata)
	// Note adds to what is kept of a Secret what follows from its whole metadata, or is nil. It must be little.
	Note func(kept, whole *metav1.PartialObjectMetadata)
	// Log takes what keeps the watch from working.
	Log logr.Logger
}

// Run watches as ConfigMapWatch does.
func (w *SecretWatch) Run(ctx context.Context) {
	kind := &metav1.PartialObjectMetadata{}
	kind.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	watch := namedWatch{access: w.Access, what: "Secrets", object: kind, name: w.Name, log: w.Log, transform: w.identify, seen: func(ctx context.Context, old, object any) {
		previous, _ := old.(*metav1.PartialObjectMetadata)
		if secret, ok := object.(*metav1.PartialObjectMetadata); ok {
			w.Seen(ctx, previous, secret)
		}
	}}
	watch.run(ctx)
}

// identify is a toolscache.TransformFunc that keeps of an object's metadata which one it is. An annotation of kubectl repeats the whole
// object, and is as large as its owner likes.
func (w *SecretWatch) identify(object any) (any, error) {
	whole, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return object, nil
	}
	kept := &metav1.PartialObjectMetadata{TypeMeta: whole.TypeMeta, ObjectMeta: metav1.ObjectMeta{
		Namespace: whole.Namespace, Name: whole.Name, UID: whole.UID, ResourceVersion: whole.ResourceVersion,
	}}
	if w.Note != nil {
		w.Note(kept, whole)
	}
	return kept, nil
}
