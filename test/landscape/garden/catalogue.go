// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"path"
	"testing/fstest"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const (
	// CloudProfileName is the CloudProfile for all Shoots.
	CloudProfileName = "local"
	// ProviderType is the type of the infrastructure provider, of its regions, machines, images, networks and DNS.
	ProviderType = "local"

	// dnsSecretName is a Secret in namespace "garden" with credentials of the DNS provider.
	dnsSecretName = "dns-local" // #nosec G101 -- a name
	// defaultDomain and internalDomain are where Shoots get their names. Nobody resolves them.
	defaultDomain  = "external.local.gardener.cloud"
	internalDomain = "internal.local.gardener.cloud"
)

// createCatalogue creates what an operator of Gardener creates before the first seed and the first Shoot: registrations of the extensions
// for infrastructure, networks and backups, which have no code here, a CloudProfile, and credentials for DNS.
func (g *Garden) createCatalogue(ctx context.Context) error {
	version, err := g.kubernetesVersion()
	if err != nil {
		return err
	}
	provider := []string{
		extensionsv1alpha1.BackupBucketResource, extensionsv1alpha1.BackupEntryResource,
		extensionsv1alpha1.ControlPlaneResource, extensionsv1alpha1.DNSRecordResource, extensionsv1alpha1.InfrastructureResource,
		extensionsv1alpha1.NetworkResource, extensionsv1alpha1.OperatingSystemConfigResource, extensionsv1alpha1.WorkerResource,
	}
	if err := g.register(ctx, "provider-local", ProviderType, provider...); err != nil {
		return err
	}
	if err := g.register(ctx, "networking-calico", "calico", extensionsv1alpha1.NetworkResource); err != nil {
		return err
	}
	for _, object := range []client.Object{
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: dnsSecretName}},
		cloudProfile(version.String()),
	} {
		if err := g.ensure(ctx, object); err != nil {
			return err
		}
	}
	return nil
}

// register registers an extension with a chart that has nothing in it: gardenlet would ask each second for one that is not installed.
func (g *Garden) register(ctx context.Context, name, providerType string, kinds ...string) error {
	chart, err := emptyChart(name)
	if err != nil {
		return fmt.Errorf("failed to pack the chart of %s: %w", name, err)
	}
	deployment := &gardencorev1.ControllerDeployment{ObjectMeta: metav1.ObjectMeta{Name: name}, Helm: &gardencorev1.HelmControllerDeployment{RawChart: chart}}
	registration := &gardencorev1beta1.ControllerRegistration{ObjectMeta: metav1.ObjectMeta{Name: name}}
	registration.Spec.Deployment = &gardencorev1beta1.ControllerRegistrationDeployment{DeploymentRefs: []gardencorev1beta1.DeploymentRef{{Name: name}}}
	for _, kind := range kinds {
		registration.Spec.Resources = append(registration.Spec.Resources, gardencorev1beta1.ControllerResource{Kind: kind, Type: providerType})
	}
	return errors.Join(g.ensure(ctx, deployment), g.ensure(ctx, registration))
}

// emptyChart is a packed Helm chart without templates.
func emptyChart(name string) ([]byte, error) {
	var packed bytes.Buffer
	compressed := gzip.NewWriter(&packed)
	archive := tar.NewWriter(compressed)
	metadata := fmt.Appendf(nil, "apiVersion: v2\nname: %s\nversion: 1.0.0\n", name)
	err := archive.AddFS(fstest.MapFS{path.Join(name, "Chart.yaml"): {Data: metadata, Mode: 0o644}})
	err = errors.Join(err, archive.Close(), compressed.Close())
	return packed.Bytes(), err
}

func cloudProfile(kubernetesVersion string) *gardencorev1beta1.CloudProfile {
	return &gardencorev1beta1.CloudProfile{
		ObjectMeta: metav1.ObjectMeta{Name: CloudProfileName},
		Spec: gardencorev1beta1.CloudProfileSpec{
			Type:       ProviderType,
			Regions:    []gardencorev1beta1.Region{{Name: ProviderType}},
			Kubernetes: gardencorev1beta1.KubernetesSettings{Versions: []gardencorev1beta1.ExpirableVersion{{Version: kubernetesVersion}}},
			MachineTypes: []gardencorev1beta1.MachineType{{
				Name: ProviderType, CPU: resource.MustParse("4"), GPU: resource.MustParse("0"), Memory: resource.MustParse("8Gi"), Architecture: new(v1beta1constants.ArchitectureAMD64),
			}},
			MachineImages: []gardencorev1beta1.MachineImage{{
				Name: ProviderType,
				Versions: []gardencorev1beta1.MachineImageVersion{{
					ExpirableVersion: gardencorev1beta1.ExpirableVersion{Version: "1.0.0"},
					Architectures:    []string{v1beta1constants.ArchitectureAMD64},
					CRI:              []gardencorev1beta1.CRI{{Name: gardencorev1beta1.CRINameContainerD}},
				}},
			}},
		},
	}
}

// SeedSpec is what a gardenlet registers its seed with.
func SeedSpec(name string) gardencorev1beta1.SeedSpec {
	credentials := corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: v1beta1constants.GardenNamespace, Name: dnsSecretName}
	return gardencorev1beta1.SeedSpec{
		Backup:   &gardencorev1beta1.Backup{Provider: ProviderType, CredentialsRef: &credentials}, // without, no shoot may leave the seed
		Provider: gardencorev1beta1.SeedProvider{Type: ProviderType, Region: ProviderType, Zones: []string{"0"}},
		DNS: gardencorev1beta1.SeedDNS{
			Provider: &gardencorev1beta1.SeedDNSProvider{Type: ProviderType, CredentialsRef: &credentials},
			Internal: &gardencorev1beta1.SeedDNSProviderConfig{Type: ProviderType, Domain: internalDomain, CredentialsRef: credentials},
			Defaults: []gardencorev1beta1.SeedDNSProviderConfig{{Type: ProviderType, Domain: defaultDomain, CredentialsRef: credentials}},
		},
		Ingress: &gardencorev1beta1.Ingress{
			Domain:     fmt.Sprintf("ingress.%s.seed.%s", name, defaultDomain),
			Controller: gardencorev1beta1.IngressController{Kind: v1beta1constants.IngressKindNginx},
		},
		Networks: gardencorev1beta1.SeedNetworks{
			Nodes:    new("172.18.0.0/24"),
			Pods:     "10.1.0.0/16",
			Services: "10.2.0.0/16",
			ShootDefaults: &gardencorev1beta1.ShootNetworks{
				Pods: new("10.3.0.0/16"), Services: new("10.4.0.0/16"),
			},
		},
		Settings: &gardencorev1beta1.SeedSettings{Scheduling: &gardencorev1beta1.SeedSettingScheduling{Visible: true}},
	}
}
