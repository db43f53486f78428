// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gardenlet

import (
	"context"
	_ "embed"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/component/crddeployer"
	"github.com/gardener/gardener/pkg/controllerutils"
)

// gardenCRDs stand in for gardener-apiserver: they accept everything, and nothing is defaulted, validated or admitted.
//
//go:embed crds/core.gardener.cloud.yaml
var gardenCRDs string

const (
	// CloudProfileName is the CloudProfile that [InstallGarden] creates.
	CloudProfileName = "local"
	// providerType is the type of the seed's and the CloudProfile's provider.
	providerType = "local"
)

// InstallGarden prepares a cluster to be a garden cluster: the kinds of core.gardener.cloud that are needed (as permissive custom resource
// definitions), namespace "garden", and a CloudProfile. It may be called again.
func InstallGarden(ctx context.Context, config *rest.Config) error {
	c, err := client.New(GardenConfig(config), client.Options{Scheme: kubernetes.GardenScheme})
	if err != nil {
		return fmt.Errorf("failed to connect to the garden: %w", err)
	}
	// The deployer needs a scheme that has CustomResourceDefinitions.
	crdClient, err := client.New(unlimited(config), client.Options{Scheme: kubernetes.SeedScheme})
	if err != nil {
		return fmt.Errorf("failed to connect to the garden: %w", err)
	}
	crds, err := crddeployer.New(crdClient, []string{gardenCRDs}, false)
	if err != nil {
		return fmt.Errorf("failed to read the custom resource definitions of the garden: %w", err)
	}
	if err := deployAndWait(ctx, crds); err != nil {
		return fmt.Errorf("failed to install the custom resource definitions of the garden: %w", err)
	}
	if err := ensure(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: v1beta1constants.GardenNamespace}}); err != nil {
		return err
	}
	return ensure(ctx, c, &gardencorev1beta1.CloudProfile{
		ObjectMeta: metav1.ObjectMeta{Name: CloudProfileName},
		Spec:       gardencorev1beta1.CloudProfileSpec{Type: providerType},
	})
}

// CreateProject creates a Project and does for it what gardener-controller-manager does: its namespace garden-<name> with the labels that
// connect them, and phase Ready. It returns the namespace and may be called again.
func CreateProject(ctx context.Context, garden *rest.Config, name string) (string, error) {
	c, err := client.New(GardenConfig(garden), client.Options{Scheme: kubernetes.GardenScheme})
	if err != nil {
		return "", fmt.Errorf("failed to connect to the garden: %w", err)
	}
	namespace := "garden-" + name
	if err := ensure(ctx, c, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace, Labels: map[string]string{
		v1beta1constants.GardenRole:  v1beta1constants.GardenRoleProject,
		v1beta1constants.ProjectName: name,
	}}}); err != nil {
		return "", err
	}
	project := &gardencorev1beta1.Project{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: gardencorev1beta1.ProjectSpec{Namespace: &namespace}}
	if err := ensure(ctx, c, project); err != nil {
		return "", err
	}
	patch := client.MergeFrom(project.DeepCopy())
	project.Status.Phase = gardencorev1beta1.ProjectReady
	project.Status.ObservedGeneration = project.Generation
	if err := c.Status().Patch(ctx, project, patch); err != nil {
		return "", fmt.Errorf("failed to set the status of Project %s: %w", name, err)
	}
	return namespace, nil
}

// registerSeed creates the Seed, as gardenlet does when it starts.
func registerSeed(ctx context.Context, garden client.Client, name string) error {
	seed := &gardencorev1beta1.Seed{ObjectMeta: metav1.ObjectMeta{Name: name}}
	if _, err := controllerutils.GetAndCreateOrMergePatch(ctx, garden, seed, func() error {
		seed.Spec.Provider.Type = providerType
		seed.Spec.Provider.Region = providerType
		return nil
	}); err != nil {
		return fmt.Errorf("failed to register Seed %s: %w", name, err)
	}
	patch := client.MergeFrom(seed.DeepCopy())
	seed.Status.ClusterIdentity = new("landscape-seed-" + name)
	if err := garden.Status().Patch(ctx, seed, patch); err != nil {
		return fmt.Errorf("failed to set the status of Seed %s: %w", name, err)
	}
	return nil
}

// ensure creates the object if it does not exist; afterwards it is as it is in the cluster.
func ensure(ctx context.Context, c client.Client, object client.Object) error {
	err := client.IgnoreAlreadyExists(c.Create(ctx, object))
	if err == nil {
		err = c.Get(ctx, client.ObjectKeyFromObject(object), object)
	}
	if err != nil {
		return fmt.Errorf("failed to create %T %s: %w", object, object.GetName(), err)
	}
	return nil
}
