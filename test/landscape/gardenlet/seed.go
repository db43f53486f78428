// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component"
	"github.com/gardener/gardener/pkg/component/autoscaling/vpa"
	"github.com/gardener/gardener/pkg/component/crddeployer"
	extensionscrds "github.com/gardener/gardener/pkg/component/extensions/crds"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
	"github.com/gardener/gardener/pkg/component/nodemanagement/machinecontrollermanager"
	"github.com/gardener/gardener/pkg/component/observability/monitoring/prometheusoperator"
	kubernetesutils "github.com/gardener/gardener/pkg/utils/kubernetes"
)

// waitLonger is for a busy machine, on which an API server needs its time for many new definitions.
var waitLonger = sync.OnceFunc(func() { kubernetesutils.WaitTimeout = 10 * time.Minute })

// InstallSeed prepares a cluster to be a seed cluster: Gardener's custom resource definitions for extensions and ManagedResources, those of
// what the deployment of gardener-resource-manager comes with, and namespace "garden". It may be called again.
func InstallSeed(ctx context.Context, config *rest.Config) error {
	waitLonger()
	c, err := client.New(unlimited(config), client.Options{Scheme: kubernetes.SeedScheme})
	if err != nil {
		return fmt.Errorf("failed to connect to the seed: %w", err)
	}
	deployers := map[string]func() (component.DeployWaiter, error){
		"extensions":       func() (component.DeployWaiter, error) { return extensionscrds.NewCRD(c, true, true) },
		"ManagedResources": func() (component.DeployWaiter, error) { return crddeployer.New(c, []string{resourcemanager.CRD}, true) },
		"autoscaling":      func() (component.DeployWaiter, error) { return vpa.NewCRD(c, nil) },
		"machines":         func() (component.DeployWaiter, error) { return machinecontrollermanager.NewCRD(c) },
		"monitoring":       func() (component.DeployWaiter, error) { return prometheusoperator.NewCRDs(c) },
	}
	group, ctx := errgroup.WithContext(ctx)
	for name, newDeployer := range deployers {
		group.Go(func() error {
			deployer, err := newDeployer()
			if err == nil {
				err = deployAndWait(ctx, deployer)
			}
			if err != nil {
				return fmt.Errorf("failed to install the custom resource definitions for %s in the seed: %w", name, err)
			}
			return nil
		})
	}
	group.Go(func() error {
		return ensure(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1beta1constants.GardenNamespace}})
	})
	return group.Wait()
}

func deployAndWait(ctx context.Context, deployer component.DeployWaiter) error {
	if err := deployer.Deploy(ctx); err != nil {
		return err
	}
	return deployer.Wait(ctx)
}
