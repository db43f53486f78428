// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	"fmt"

	"github.com/Masterminds/semver/v3"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/component"
	"github.com/gardener/gardener/pkg/component/extensions/extension"
	"github.com/gardener/gardener/pkg/component/gardener/access"
	"github.com/gardener/gardener/pkg/component/gardener/resourcemanager"
	"github.com/gardener/gardener/pkg/component/shared"
	operationpkg "github.com/gardener/gardener/pkg/gardenlet/operation"
	"github.com/gardener/gardener/pkg/gardenlet/operation/botanist"
	"github.com/gardener/gardener/pkg/gardenlet/operation/seed"
	"github.com/gardener/gardener/pkg/gardenlet/operation/shoot"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"
	secretsmanager "github.com/gardener/gardener/pkg/utils/secrets/manager"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
)

// managerIdentity is how gardenlet labels the secrets that it manages.
const managerIdentity = v1beta1constants.SecretManagerIdentityGardenlet

// operation is one run of a flow for one Shoot.
type operation struct {
	*botanist.Botanist
	options Options

	cluster         *cluster.Cluster
	extensions      extension.Interface
	resourceManager resourcemanager.Interface
	gardenerAccess  component.Deployer
}

// newOperation gathers what the flows need. Components that need secrets come later, see initializeSecrets.
func (r *shootReconciler) newOperation(ctx context.Context, info *gardencorev1beta1.Shoot) (*operation, error) {
	cloudProfile, err := gardenerutils.GetCloudProfile(ctx, r.garden, info)
	if err != nil {
		return nil, fmt.Errorf("failed to get the CloudProfile of Shoot %s: %w", client.ObjectKeyFromObject(info), err)
	}
	seedInfo := &gardencorev1beta1.Seed{}
	if err := r.garden.Get(ctx, client.ObjectKey{Name: r.options.SeedName}, seedInfo); err != nil {
		return nil, fmt.Errorf("failed to get Seed %s: %w", r.options.SeedName, err)
	}
	log := r.options.Log.WithValues("shoot", client.ObjectKeyFromObject(info))
	o := &operation{options: r.options, Botanist: &botanist.Botanist{Operation: &operationpkg.Operation{
		Clock:               clock.RealClock{},
		Logger:              log,
		GardenClient:        r.garden,
		SeedClientSet:       r.seed,
		Seed:                &seed.Seed{},
		Shoot:               &shoot.Shoot{CloudProfile: cloudProfile, ControlPlaneNamespace: info.Status.TechnicalID, IsWorkerless: v1beta1helper.IsWorkerless(info), HibernationEnabled: v1beta1helper.HibernationIsEnabled(info)},
		SeedNamespaceObject: &corev1.Namespace{},
	}}}
	o.Seed.SetInfo(seedInfo)
	o.Shoot.SetInfo(info)
	if o.extensions, err = o.newExtensions(ctx); err != nil {
		return nil, err
	}
	o.Shoot.Components = &shoot.Components{Extensions: &shoot.Extensions{Extension: o.extensions}}
	return o, nil
}

// newExtensions returns the component for the Extension resources that the Shoot and the ControllerRegistrations ask for.
func (o *operation) newExtensions(ctx context.Context) (extension.Interface, error) {
	required, err := shared.NewExtension(ctx, o.Logger, o.GardenClient, o.SeedClientSet.Client(), o.Shoot.ControlPlaneNamespace,
		extensionsv1alpha1.ExtensionClassShoot, o.Shoot.GetInfo().Spec.Extensions, o.Shoot.IsWorkerless)
	if err != nil {
		return nil, fmt.Errorf("failed to find the required extensions: %w", err)
	}
	return extension.New(o.Logger, o.SeedClientSet.Client(),
		&extension.Values{Namespace: o.Shoot.ControlPlaneNamespace, Extensions: required.Extensions()},
		o.options.WaitInterval, o.options.SevereThreshold, extension.DefaultTimeout), nil
}

// initializeComponents prepares the components of the control plane. It needs the secrets manager.
func (o *operation) initializeComponents() error {
	seedVersion, err := semver.NewVersion(o.SeedClientSet.Version())
	if err != nil {
		return fmt.Errorf("failed to parse the seed's version %q: %w", o.SeedClientSet.Version(), err)
	}
	o.resourceManager, err = shared.NewTargetGardenerResourceManager(
		o.SeedClientSet.Client(), o.Shoot.ControlPlaneNamespace, o.SecretsManager, o.resourceManagerValues(seedVersion))
	if err != nil {
		return fmt.Errorf("failed to prepare gardener-resource-manager: %w", err)
	}
	o.gardenerAccess = access.New(o.SeedClientSet.Client(), o.Shoot.ControlPlaneNamespace, o.SecretsManager, access.Values{
		ServerOutOfCluster: o.cluster.AdminConfig.Host,
		ServerInCluster:    o.cluster.AdminConfig.Host,
	})
	return nil
}

func (o *operation) newSecretsManager(ctx context.Context) (secretsmanager.Interface, error) {
	return secretsmanager.New(ctx, o.Logger.WithName("secretsmanager"), o.Clock, o.SeedClientSet.Client(), managerIdentity,
		secretsmanager.WithNamespaces(o.Shoot.ControlPlaneNamespace))
}
