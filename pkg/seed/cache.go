// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package seed says what the extension keeps in memory of the seed, who owns the registration of its webhook, and whether the seed still answers
// for a shoot. A seed holds a thousand shoots, with dozens of ManagedResources and several Extensions each, and a Cluster of 100 kB and more. What
// the extension does not need of them is not asked for, or dropped before it is kept.
package seed

import (
	"encoding/json"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// CacheOptions returns the options of a manager's cache of the seed: of all Extensions only those with a name, which gardenlet makes their
// type; of all ManagedResources only the extension's own; of all Clusters what TrimCluster leaves.
func CacheOptions(extensionName string) cache.Options {
	return cache.Options{
		DefaultTransform: cache.TransformStripManagedFields(),
		ByObject: map[client.Object]cache.ByObject{
			&extensionsv1alpha1.Extension{}:      {Field: fields.OneTermEqualSelector(metav1.ObjectNameField, extensionName)},
			&extensionsv1alpha1.Cluster{}:        {Transform: TrimCluster},
			&resourcesv1alpha1.ManagedResource{}: {Label: labels.SelectorFromSet(managedresource.OriginLabels()), Transform: trimManagedResource},
		},
	}
}

// TrimCluster is a cache transform. Of a Cluster it leaves the metadata of the Seed and of the Shoot, and what says of the Shoot whether it
// sleeps and what Gardener last did with it. Whoever needs more of a Cluster reads it without the cache. What can't be read stays as it is,
// for whoever reads it to say so.
func TrimCluster(object any) (any, error) {
	cluster, ok := object.(*extensionsv1alpha1.Cluster)
	if !ok {
		return object, nil
	}
	cluster.ManagedFields = nil
	// Gardener's library takes a missing CloudProfile for none.
	cluster.Spec.CloudProfile = runtime.RawExtension{}

	trim(cluster.Spec.Seed, func(seed *metav1.PartialObjectMetadata) any {
		seed.ManagedFields = nil
		return seed
	})
	trim(&cluster.Spec.Shoot, func(shoot *gardencorev1beta1.Shoot) any {
		shoot.ManagedFields = nil
		return &trimmedShoot{
			TypeMeta: shoot.TypeMeta, ObjectMeta: shoot.ObjectMeta,
			Spec: trimmedShootSpec{Hibernation: shoot.Spec.Hibernation},
			Status: trimmedShootStatus{
				IsHibernated: shoot.Status.IsHibernated, LastOperation: shoot.Status.LastOperation, ObservedGeneration: shoot.Status.ObservedGeneration,
			},
		}
	})
	return cluster, nil
}

// trimmedShoot is what is left of a Shoot, with the names of its fields.
type trimmedShoot struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	Spec   trimmedShootSpec   `json:"spec"`
	Status trimmedShootStatus `json:"status"`
}

type trimmedShootSpec struct {
	Hibernation *gardencorev1beta1.Hibernation `json:"hibernation,omitempty"`
}

type trimmedShootStatus struct {
	IsHibernated       bool                             `json:"hibernated"`
	LastOperation      *gardencorev1beta1.LastOperation `json:"lastOperation,omitempty"`
	ObservedGeneration int64                            `json:"observedGeneration,omitempty"`
}

// trim replaces a document by what is left of it.
func trim[T any](raw *runtime.RawExtension, leave func(*T) any) {
	document := new(T)
	if raw == nil || json.Unmarshal(raw.Raw, document) != nil {
		return
	}
	if trimmed, err := json.Marshal(leave(document)); err == nil {
		raw.Raw = trimmed
	}
}

// trimManagedResource is a cache transform. It drops which objects the installation has: only those of the configuration, which are few, tell
// something.
func trimManagedResource(object any) (any, error) {
	managedResource, ok := object.(*resourcesv1alpha1.ManagedResource)
	if !ok {
		return object, nil
	}
	managedResource.ManagedFields = nil
	if managedResource.Name != managedresource.Configuration {
		managedResource.Status.Resources = nil
	}
	return managedResource, nil
}
