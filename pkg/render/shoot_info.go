// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package render

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ShootInfoName is the name of the ConfigMap in the namespace of Flux that says which shoot it is in.
const ShootInfoName = "shoot-info"

// ManagedByLabel and ManagedBy are the label of ConfigMap shoot-info, and of Secrets that come from resources of the Shoot.
const (
	ManagedByLabel = "app.kubernetes.io/managed-by"
	ManagedBy      = "gardener-extension-shoot-flux"
)

// ShootInfo is what Flux can substitute of a shoot.
type ShootInfo struct {
	// Name is the name of the Shoot, and TechnicalID that of its namespace in the seed.
	Name, TechnicalID string
	// ClusterIdentity is the identity of the shoot, and GardenClusterIdentity that of its garden.
	ClusterIdentity, GardenClusterIdentity string
}

func (s *ShootInfo) configMap(namespace string) *corev1.ConfigMap {
	return &corev1.ConfigMap{
		TypeMeta:   metav1.TypeMeta{APIVersion: corev1.SchemeGroupVersion.String(), Kind: "ConfigMap"},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: ShootInfoName, Labels: map[string]string{ManagedByLabel: ManagedBy}},
		Data: map[string]string{
			"SHOOT_INFO_CLUSTER_IDENTITY":        s.ClusterIdentity,
			"SHOOT_INFO_GARDEN_CLUSTER_IDENTITY": s.GardenClusterIdentity,
			"SHOOT_INFO_NAME":                    s.Name,
			"SHOOT_INFO_TECHNICAL_ID":            s.TechnicalID,
		},
	}
}
