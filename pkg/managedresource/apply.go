// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package managedresource

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"
	"github.com/gardener/gardener/pkg/utils/managedresources"
)

// Apply creates or updates the ManagedResource of the given name. existing is what the seed has of it now, or nil. If that holds the data and
// has the labels already, the seed is not asked for anything. What is known is not looked for: if there is none, that neither it nor its Secret is
// there, and else what it is, and that there is no Secret for other data yet. Where that is wrong, the seed is asked.
func Apply(ctx context.Context, seed client.Client, namespace, name string, labels map[string]string, data Data, existing *resourcesv1alpha1.ManagedResource) error {
	if existing != nil && holds(existing, seed, labels, data) {
		return nil
	}
	deploy := func(seed client.Client) error {
		return managedresources.CreateForShootWithLabels(ctx, seed, namespace, name, origin, false, labels, data)
	}
	secret, _ := managedresources.NewSecret(seed, namespace, name, data, true)
	err := deploy(knownSeed{Client: seed, existing: existing, secret: secret})
	// The Secret of an interrupted try is there already, or gardener-resource-manager has just written the status.
	if apierrors.IsAlreadyExists(err) || apierrors.IsConflict(err) {
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

// knownSeed is a seed of which is known what it has, for a library that looks before it writes.
type knownSeed struct {
	client.Client
	// existing is the ManagedResource, or nil.
	existing *resourcesv1alpha1.ManagedResource
	// secret is the name of the Secret that it is to have.
	secret string
}

// Get implements client.Client. A Secret that the ManagedResource is to keep may have been deleted by somebody. Of one that it has had, the library would
// only see that it has the label by which it goes when nobody needs it any more.
func (s knownSeed) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	switch object := object.(type) {
	case *resourcesv1alpha1.ManagedResource:
		if s.existing != nil {
			s.existing.DeepCopyInto(object)
			return nil
		}
	case *corev1.Secret:
		if key.Name == s.secret && s.existing != nil && slices.Contains(s.existing.Spec.SecretRefs, corev1.LocalObjectReference{Name: key.Name}) {
			return s.Client.Get(ctx, key, object, options...)
		}
	}
	return apierrors.NewNotFound(schema.GroupResource{}, key.Name)
}
