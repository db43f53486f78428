// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/sets"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

// maxReferences bounds of how much data it is remembered which objects it holds. That takes about 5 KiB for a release of Flux.
const maxReferences = 64

// References tells which objects ManagedResources bring to shoots. It remembers that of the data that it has read, because a release has the same
// objects in all shoots, and they are asked for at each try of a removal. It is safe for concurrent use.
type References struct {
	// known has a []corev1.ObjectReference by the digest of data.
	known *lru.Cache
}

// NewReferences returns References that have read nothing yet.
func NewReferences() *References {
	return &References{known: lru.New(maxReferences)}
}

// Of returns what was or is being applied to the shoot by the ManagedResource, in order, or nothing if that is nil: what
// gardener-resource-manager remembers, and what it was last given, because it remembers only what it has applied as a whole.
func (r *References) Of(ctx context.Context, seed client.Reader, managedResource *resourcesv1alpha1.ManagedResource) ([]corev1.ObjectReference, error) {
	if managedResource == nil {
		return nil, nil
	}
	references := sets.New[corev1.ObjectReference]()
	for _, reference := range managedResource.Status.Resources {
		references.Insert(referenceTo(reference.APIVersion, reference.Kind, reference.Namespace, reference.Name))
	}
	for _, secretRef := range managedResource.Spec.SecretRefs {
		secret := &corev1.Secret{}
		key := client.ObjectKey{Namespace: managedResource.Namespace, Name: secretRef.Name}
		if err := seed.Get(ctx, key, secret); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read Secret %s of ManagedResource %s in the seed: %w", key, client.ObjectKeyFromObject(managedResource), err)
		}
		held, err := r.in(secret.Data)
		if err != nil {
			return nil, err
		}
		references.Insert(held...)
	}
	return slices.SortedFunc(maps.Keys(references), func(a, b corev1.ObjectReference) int { return strings.Compare(a.String(), b.String()) }), nil
}

// in returns references to the objects in the data.
func (r *References) in(data Data) ([]corev1.ObjectReference, error) {
	digest := digestOf(data)
	if known, ok := r.known.Get(digest); ok {
		return known.([]corev1.ObjectReference), nil
	}
	objects, err := data.Objects()
	if err != nil {
		return nil, err
	}
	references := make([]corev1.ObjectReference, len(objects))
	for i, object := range objects {
		references[i] = referenceTo(object.GetAPIVersion(), object.GetKind(), object.GetNamespace(), object.GetName())
	}
	r.known.Add(digest, references)
	return references, nil
}

func digestOf(data Data) [sha256.Size]byte {
	hash := sha256.New()
	for _, key := range slices.Sorted(maps.Keys(data)) {
		fmt.Fprintf(hash, "%q %d ", key, len(data[key]))
		hash.Write(data[key])
	}
	return [sha256.Size]byte(hash.Sum(nil))
}
