// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"
)

// Get returns the ManagedResource of the given name, or nil if there is none.
func Get(ctx context.Context, seed client.Reader, namespace, name string) (*resourcesv1alpha1.ManagedResource, error) {
	managedResource := &resourcesv1alpha1.ManagedResource{}
	if err := seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, managedResource); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read ManagedResource %s/%s in the seed: %w", namespace, name, err)
	} else if err != nil {
		return nil, nil
	}
	return managedResource, nil
}

// DataOf returns the data that the ManagedResource was applied with.
func DataOf(ctx context.Context, seed client.Reader, managedResource *resourcesv1alpha1.ManagedResource) (Data, error) {
	where := client.ObjectKeyFromObject(managedResource)
	if len(managedResource.Spec.SecretRefs) != 1 {
		return nil, fmt.Errorf("the ManagedResource %s in the seed has %d Secrets in place of one: somebody else changed it", where, len(managedResource.Spec.SecretRefs))
	}
	secret := &corev1.Secret{}
	key := client.ObjectKey{Namespace: managedResource.Namespace, Name: managedResource.Spec.SecretRefs[0].Name}
	if err := seed.Get(ctx, key, secret); err != nil {
		return nil, fmt.Errorf("failed to read Secret %s of ManagedResource %s in the seed: %w", key, where, err)
	}
	return secret.Data, nil
}

// Objects returns the objects that the data was made of.
func (d Data) Objects() ([]*unstructured.Unstructured, error) {
	content, err := managedresources.ExtractObjectsFromSecret(yamlDecoder{}, &corev1.Secret{Data: d})
	if err != nil {
		return nil, fmt.Errorf("failed to read the objects of a ManagedResource: %w", err)
	}
	var objects []*unstructured.Unstructured
	for _, object := range content {
		objects = append(objects, object.(*unstructured.Unstructured))
	}
	return objects, nil
}

// yamlDecoder decodes objects of any kind.
type yamlDecoder struct{}

func (yamlDecoder) Decode(data []byte, _ *schema.GroupVersionKind, _ runtime.Object) (runtime.Object, *schema.GroupVersionKind, error) {
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal(data, &object.Object); err != nil {
		return nil, nil, err
	}
	gvk := object.GroupVersionKind()
	return object, &gvk, nil
}
