// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"
)

// Apply creates or updates the ManagedResource of the given name. existing is what the seed has of it now, or nil. If that holds the data and
// has the labels already, the seed is not asked for anything. If there is none, both it and its Secret are created without being looked for.
func Apply(ctx context.Context, seed client.Client, namespace, name string, labels map[string]string, data Data, existing *resourcesv1alpha1.ManagedResource) error {
	if existing != nil && holds(existing, seed, labels, data) {
		return nil
	}
	deploy := func(seed client.Client) error {
		return managedresources.CreateForShootWithLabels(ctx, seed, namespace, name, origin, false, labels, data)
	}
	var err error
	if existing == nil {
		err = deploy(emptySeed{seed})
	}
	// The Secret of an interrupted try is there already.
	if existing != nil || apierrors.IsAlreadyExists(err) {
		err = deploy(seed)
	}
	if err != nil {
		return fmt.Errorf("failed to apply ManagedResource %s/%s in the seed: %w", namespace, name, err)
	}
	return nil
}

// holds tells whether a ManagedResource is what it is to be. One that gardener-resource-manager could not apply is not taken for that: its Secret
// may be missing.
func holds(existing *resourcesv1alpha1.ManagedResource, seed client.Client, labels map[string]string, data Data) bool {
	for key, value := range labels {
		if current, ok := existing.Labels[key]; !ok || current != value {
			return false
		}
	}
	secretName, _ := managedresources.NewSecret(seed, existing.Namespace, existing.Name, data, true)
	keeps := existing.Spec.KeepObjects != nil && *existing.Spec.KeepObjects
	return existing.DeletionTimestamp == nil && !keeps && len(existing.Spec.SecretRefs) == 1 && existing.Spec.SecretRefs[0].Name == secretName &&
		CheckApplied(existing) == nil
}

// emptySeed is a seed that has nothing, for a library that looks before it creates.
type emptySeed struct {
	client.Client
}

// Get implements client.Client.
func (emptySeed) Get(_ context.Context, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}
