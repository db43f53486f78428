// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package operator

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	operatorv1alpha1 "github.com/gardener/gardener/pkg/apis/operator/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
)

// createGarden creates the Garden as gardener-operator leaves it when it has made the garden.
func (o *Operator) createGarden(ctx context.Context) error {
	object := &operatorv1alpha1.Garden{
		ObjectMeta: metav1.ObjectMeta{
			Name:        garden.ClusterIdentity,
			Annotations: map[string]string{v1beta1constants.AnnotationKeyGenericTokenKubeconfigSecretName: "generic-token-kubeconfig"},
		},
		Spec: operatorv1alpha1.GardenSpec{
			RuntimeCluster: operatorv1alpha1.RuntimeCluster{
				Ingress: operatorv1alpha1.Ingress{
					Domains:    []operatorv1alpha1.DNSDomain{{Name: "ingress.runtime.local.gardener.cloud"}},
					Controller: gardencorev1beta1.IngressController{Kind: "nginx"},
				},
				Networking: operatorv1alpha1.RuntimeNetworking{Nodes: []string{"10.3.0.0/24"}, Pods: []string{"10.4.0.0/16"}, Services: []string{"10.5.0.0/16"}},
				Provider:   operatorv1alpha1.Provider{Zones: []string{"0"}},
			},
			VirtualCluster: operatorv1alpha1.VirtualCluster{
				DNS:         operatorv1alpha1.DNS{Domains: []operatorv1alpha1.DNSDomain{{Name: "virtual-garden.local.gardener.cloud"}}},
				ETCD:        &operatorv1alpha1.ETCD{Main: &operatorv1alpha1.ETCDMain{Storage: &operatorv1alpha1.Storage{Capacity: new(resource.MustParse("1Gi"))}}},
				Gardener:    operatorv1alpha1.Gardener{ClusterIdentity: garden.ClusterIdentity},
				Kubernetes:  operatorv1alpha1.Kubernetes{Version: "1.36.1"},
				Maintenance: operatorv1alpha1.Maintenance{TimeWindow: gardencorev1beta1.MaintenanceTimeWindow{Begin: "220000+0100", End: "230000+0100"}},
				Networking:  operatorv1alpha1.Networking{Services: []string{"10.96.0.0/16"}},
			},
		},
	}
	if err := o.Client.Create(ctx, object); err != nil {
		return fmt.Errorf("failed to create the Garden: %w", err)
	}
	patch := client.MergeFrom(object.DeepCopy())
	object.Status.ObservedGeneration = object.Generation
	object.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateSucceeded, Progress: 100, LastUpdateTime: metav1.Now(),
		Description: "Garden cluster has been successfully reconciled.",
	}
	if err := o.Client.Status().Patch(ctx, object, patch); err != nil {
		return fmt.Errorf("failed to set the status of the Garden: %w", err)
	}
	return nil
}
