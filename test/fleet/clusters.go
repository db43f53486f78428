// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"encoding/json"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// A CloudProfile of a public cloud has hundreds of machine types, dozens of versions of each machine image, and the name of each of those in each
// region. Together they make a Cluster of more than 100 kB, as large landscapes have them.
const (
	machineTypes  = 260
	imageVersions = 30
	imageRegions  = 12
	// minCluster is what a Cluster has at least, in bytes.
	minCluster = 100_000

	seedName          = "fleet"
	gardenerVersion   = "v1.150.0"
	kubernetesVersion = "1.36.3"
	cloudProfileName  = "cloud"
)

// clusterContent is what the Clusters of a seed share: its CloudProfile and its Seed.
type clusterContent struct {
	cloudProfile, seed []byte
}

func newClusterContent() (clusterContent, error) {
	profile, err := newCloudProfile()
	if err != nil {
		return clusterContent{}, err
	}
	content := clusterContent{}
	if content.cloudProfile, err = json.Marshal(profile); err != nil {
		return content, fmt.Errorf("failed to encode the CloudProfile: %w", err)
	}
	if content.seed, err = json.Marshal(newSeed()); err != nil {
		return content, fmt.Errorf("failed to encode the Seed: %w", err)
	}
	if bytes := len(content.cloudProfile) + len(content.seed); bytes < minCluster {
		return content, fmt.Errorf("a Cluster has %d bytes, which is not realistic: CloudProfiles are larger", bytes)
	}
	return content, nil
}

// cluster is the Cluster of a shoot, as gardenlet writes it.
func (c clusterContent) cluster(name string, shoot *gardencorev1beta1.Shoot) (*extensionsv1alpha1.Cluster, error) {
	raw, err := json.Marshal(shoot)
	if err != nil {
		return nil, fmt.Errorf("failed to encode Shoot %s: %w", shoot.Name, err)
	}
	cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: name}}
	cluster.Spec = extensionsv1alpha1.ClusterSpec{
		CloudProfile: runtime.RawExtension{Raw: c.cloudProfile}, Seed: &runtime.RawExtension{Raw: c.seed}, Shoot: runtime.RawExtension{Raw: raw},
	}
	return cluster, nil
}

func newCloudProfile() (*gardencorev1beta1.CloudProfile, error) {
	profile := &gardencorev1beta1.CloudProfile{
		TypeMeta:   metav1.TypeMeta{APIVersion: gardencorev1beta1.SchemeGroupVersion.String(), Kind: "CloudProfile"},
		ObjectMeta: metav1.ObjectMeta{Name: cloudProfileName, UID: "4f2f3ad5-6d3c-4c83-9d56-3b1d5a0d2f10"},
	}
	profile.Spec.Type = cloudProfileName
	for minor := range 6 {
		for patch := range 8 {
			profile.Spec.Kubernetes.Versions = append(profile.Spec.Kubernetes.Versions, expiring(fmt.Sprintf("1.%d.%d", 31+minor, patch)))
		}
	}
	for i := range machineTypes {
		profile.Spec.MachineTypes = append(profile.Spec.MachineTypes, gardencorev1beta1.MachineType{
			Name: fmt.Sprintf("m%d.%dxlarge", i/12, i%12+1), CPU: *resource.NewQuantity(int64(4*(i%12+1)), resource.DecimalSI),
			GPU: resource.MustParse("0"), Memory: *resource.NewQuantity(int64(i%12+1)<<34, resource.BinarySI), Usable: new(true), Architecture: new("amd64"),
			Storage: &gardencorev1beta1.MachineTypeStorage{Class: "standard", Type: "ssd", MinSize: new(resource.MustParse("20Gi"))},
		})
	}
	for i := range imageRegions {
		region := gardencorev1beta1.Region{Name: fmt.Sprintf("region-%d", i)}
		for _, zone := range "abc" {
			region.Zones = append(region.Zones, gardencorev1beta1.AvailabilityZone{Name: fmt.Sprintf("%s%c", region.Name, zone)})
		}
		profile.Spec.Regions = append(profile.Spec.Regions, region)
	}
	var images []map[string]any
	for _, name := range []string{"gardenlinux", "flatcar", "ubuntu"} {
		image := gardencorev1beta1.MachineImage{Name: name}
		var versions []map[string]any
		for i := range imageVersions {
			version := fmt.Sprintf("%d.%d.0", 1500+i, i%7)
			image.Versions = append(image.Versions, gardencorev1beta1.MachineImageVersion{
				ExpirableVersion: expiring(version), Architectures: []string{"amd64", "arm64"}, CRI: []gardencorev1beta1.CRI{{Name: gardencorev1beta1.CRINameContainerD}},
			})
			var regions []map[string]string
			for region := range imageRegions {
				regions = append(regions, map[string]string{"name": fmt.Sprintf("region-%d", region), "image": fmt.Sprintf("image-%s-%08x%09d", name, i*imageRegions+region, i)})
			}
			versions = append(versions, map[string]any{"version": version, "regions": regions})
		}
		profile.Spec.MachineImages = append(profile.Spec.MachineImages, image)
		images = append(images, map[string]any{"name": name, "versions": versions})
	}
	raw, err := json.Marshal(map[string]any{"apiVersion": "cloud.provider.extensions.gardener.cloud/v1alpha1", "kind": "CloudProfileConfig", "machineImages": images})
	if err != nil {
		return nil, fmt.Errorf("failed to encode the CloudProfile's part for the provider: %w", err)
	}
	profile.Spec.ProviderConfig = &runtime.RawExtension{Raw: raw}
	return profile, nil
}

func expiring(version string) gardencorev1beta1.ExpirableVersion {
	expiration := metav1.Date(2030, 1, 1, 23, 59, 59, 0, time.UTC)
	return gardencorev1beta1.ExpirableVersion{Version: version, Lifecycle: []gardencorev1beta1.LifecycleStage{
		{Classification: gardencorev1beta1.ClassificationSupported},
		{Classification: gardencorev1beta1.ClassificationExpired, StartTime: &expiration},
	}}
}

func newSeed() *gardencorev1beta1.Seed {
	seed := &gardencorev1beta1.Seed{
		TypeMeta:   metav1.TypeMeta{APIVersion: gardencorev1beta1.SchemeGroupVersion.String(), Kind: "Seed"},
		ObjectMeta: metav1.ObjectMeta{Name: seedName, UID: "1a7d8d02-98d9-4f69-8a0e-2c9b5a8a7d11", Labels: map[string]string{"seed.gardener.cloud/region": "region-0"}},
	}
	seed.Spec.Provider = gardencorev1beta1.SeedProvider{Type: cloudProfileName, Region: "region-0", Zones: []string{"region-0a", "region-0b", "region-0c"}}
	seed.Spec.Networks = gardencorev1beta1.SeedNetworks{Nodes: new("10.250.0.0/16"), Pods: "100.96.0.0/11", Services: "100.64.0.0/13"}
	seed.Spec.Ingress = &gardencorev1beta1.Ingress{Domain: "ingress.fleet.example.org", Controller: gardencorev1beta1.IngressController{Kind: "nginx"}}
	seed.Status.KubernetesVersion, seed.Status.ClusterIdentity = new(kubernetesVersion), new("fleet-identity")
	seed.Status.Gardener = &gardencorev1beta1.Gardener{ID: "gardenlet", Name: "gardenlet", Version: gardenerVersion}
	for _, kind := range []gardencorev1beta1.ConditionType{"GardenletReady", "ExtensionsReady", "SeedSystemComponentsHealthy", "BackupBucketsReady"} {
		seed.Status.Conditions = append(seed.Status.Conditions, gardencorev1beta1.Condition{Type: kind, Status: gardencorev1beta1.ConditionTrue, Reason: "Healthy", Message: "everything is as it should be"})
	}
	return seed
}

// newShoot is a Shoot with workers, of the kind that projects have.
func newShoot(s shoot) *gardencorev1beta1.Shoot {
	shoot := &gardencorev1beta1.Shoot{
		TypeMeta:   metav1.TypeMeta{APIVersion: gardencorev1beta1.SchemeGroupVersion.String(), Kind: "Shoot"},
		ObjectMeta: metav1.ObjectMeta{Namespace: s.project, Name: s.name, Annotations: map[string]string{"shoot.gardener.cloud/tasks": "", "description": "one of a fleet"}},
	}
	if s.stage != "" {
		shoot.Labels = map[string]string{"stage": s.stage}
	}
	shoot.Spec.CloudProfile = &gardencorev1beta1.CloudProfileReference{Kind: "CloudProfile", Name: cloudProfileName}
	shoot.Spec.SeedName, shoot.Spec.Region, shoot.Spec.Purpose = new(seedName), "region-0", new(gardencorev1beta1.ShootPurposeProduction)
	shoot.Spec.Kubernetes.Version = kubernetesVersion
	shoot.Spec.Networking = &gardencorev1beta1.Networking{Type: new("calico"), Nodes: new("10.250.0.0/16"), Pods: new("100.96.0.0/11"), Services: new("100.64.0.0/13")}
	shoot.Spec.Extensions = []gardencorev1beta1.Extension{{Type: extensionType}, {Type: "shoot-dns-service"}, {Type: "shoot-cert-service"}}
	shoot.Spec.Provider.Type = cloudProfileName
	for pool := range 3 {
		shoot.Spec.Provider.Workers = append(shoot.Spec.Provider.Workers, gardencorev1beta1.Worker{
			Name: fmt.Sprintf("pool-%d", pool), Minimum: 2, Maximum: 10, Zones: []string{"region-0a", "region-0b", "region-0c"},
			Machine: gardencorev1beta1.Machine{Type: "m1.2xlarge", Architecture: new("amd64"), Image: &gardencorev1beta1.ShootMachineImage{Name: "gardenlinux", Version: new("1500.0.0")}},
			Volume:  &gardencorev1beta1.Volume{Type: new("ssd"), VolumeSize: "50Gi"},
			Taints:  []corev1.Taint{},
		})
	}
	shoot.Status.TechnicalID, shoot.Status.Gardener.Version = s.control, gardenerVersion
	shoot.Status.LastOperation = &gardencorev1beta1.LastOperation{Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateProcessing, Progress: 80}
	for _, kind := range []gardencorev1beta1.ConditionType{
		gardencorev1beta1.ShootAPIServerAvailable, gardencorev1beta1.ShootControlPlaneHealthy, gardencorev1beta1.ShootEveryNodeReady, gardencorev1beta1.ShootSystemComponentsHealthy,
	} {
		shoot.Status.Conditions = append(shoot.Status.Conditions, gardencorev1beta1.Condition{Type: kind, Status: gardencorev1beta1.ConditionTrue, Reason: "Healthy", Message: "everything is as it should be"})
	}
	return shoot
}
