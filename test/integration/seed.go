// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"context"
	"fmt"
	"sync"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes/scheme"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/component/extensions/crds"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
)

var addGardenerKinds = sync.OnceValue(func() error { return extensionscontroller.AddToScheme(scheme.Scheme) })

// StartSeed starts a kube-apiserver, and installs in it what Gardener installs in a seed, as far as extensions see it: the kinds of extensions
// and ManagedResources, and namespace garden. Clients with client-go's scheme then know Gardener's kinds.
func (s *Servers) StartSeed(ctx context.Context, name string) (*Server, error) {
	if err := addGardenerKinds(); err != nil {
		return nil, fmt.Errorf("failed to add Gardener's kinds to the scheme: %w", err)
	}
	seed, err := s.Start(ctx, name)
	if err != nil {
		return nil, err
	}
	definitions, err := crds.NewCRD(seed.Client, true, true)
	if err != nil {
		return nil, fmt.Errorf("failed to read the CustomResourceDefinitions of extensions: %w", err)
	}
	if err := definitions.Deploy(ctx); err != nil {
		return nil, fmt.Errorf("failed to install the CustomResourceDefinitions of extensions: %w", err)
	}
	if err := seed.ApplyYAML(ctx, []byte(resourcemanager.CRD)); err != nil {
		return nil, err
	}
	if err := definitions.Wait(ctx); err != nil {
		return nil, fmt.Errorf("the kinds of extensions are not served: %w", err)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1beta1constants.GardenNamespace}}
	if err := seed.Client.Create(ctx, namespace); err != nil {
		return nil, fmt.Errorf("failed to create namespace %s of the seed: %w", namespace.Name, err)
	}
	return seed, nil
}
