// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/andybalholm/brotli"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
)

// Get returns the ManagedResource of the given name, or nil if there is none.
func Get(ctx context.Context, seed client.Reader, namespace, name string) (*resourcesv1alpha1.ManagedResource, error) {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	switch err := seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, managedResource); {
	case apierrors.IsNotFound(err):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("failed to read ManagedResource %s/%s in the seed: %w", namespace, name, err)
	}
	return managedResource, nil
}

// Find returns the extension's ManagedResources of a shoot, each of them nil if there is none, by one request.
func Find(ctx context.Context, seed client.Reader, namespace string) (installation, configuration *resourcesv1alpha1.ManagedResource, err error) {
	list := &resourcesv1alpha1.ManagedResourceList{}
	if err := seed.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels(OriginLabels())); err != nil {
		return nil, nil, fmt.Errorf("failed to list the ManagedResources of the extension in namespace %s of the seed: %w", namespace, err)
	}
	for i := range list.Items {
		switch list.Items[i].Name {
		case Installation:
			installation = &list.Items[i]
		case Configuration:
			configuration = &list.Items[i]
		}
	}
	return installation, configuration, nil
}

// damaged is an error of what is not as it was applied.
type damaged struct{ error }

// Unwrap gives the error without that.
func (d damaged) Unwrap() error { return d.error }

// IsDamaged tells whether an error of DataOf or Data.Objects says that somebody has deleted or changed what was applied. Apply mends that.
func IsDamaged(err error) bool {
	_, is := errors.AsType[damaged](err)
	return is
}

// DataOf returns the data that the ManagedResource was applied with.
func DataOf(ctx context.Context, seed client.Reader, managedResource *resourcesv1alpha1.ManagedResource) (Data, error) {
	where := client.ObjectKeyFromObject(managedResource)
	if len(managedResource.Spec.SecretRefs) != 1 {
		return nil, damaged{fmt.Errorf("the ManagedResource %s in the seed has %d Secrets in place of one: somebody else changed it", where, len(managedResource.Spec.SecretRefs))}
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: managedResource.Namespace, Name: managedResource.Spec.SecretRefs[0].Name}
	if err := seed.Get(ctx, key, secret); err != nil {
		err = fmt.Errorf("failed to read Secret %s of ManagedResource %s in the seed: %w", key, where, err)
		if apierrors.IsNotFound(err) {
			return nil, damaged{err}
		}
		return nil, err
	}
	return secret.Data, nil
}

func referenceTo(apiVersion, kind, namespace, name string) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Namespace: namespace, Name: name}
}

// Objects returns the objects that the data was made of.
func (d Data) Objects() ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	for _, key := range slices.Sorted(maps.Keys(d)) {
		content := io.Reader(bytes.NewReader(d[key]))
		if strings.HasSuffix(key, resourcesv1alpha1.BrotliCompressionSuffix) {
			content = brotli.NewReader(content)
		}
		decoder := yaml.NewYAMLOrJSONDecoder(content, 4096)
		for {
			object := &unstructured.Unstructured{}
			if err := decoder.Decode(&object.Object); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return nil, damaged{fmt.Errorf("failed to read the objects of a ManagedResource: %w", err)}
			}
			if len(object.Object) > 0 {
				objects = append(objects, object)
			}
		}
	}
	return objects, nil
}
