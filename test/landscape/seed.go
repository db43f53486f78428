// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package landscape

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/controllerutils"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/extension"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// gardenletCertificateLifetime is long enough for a landscape that somebody plays with.
const gardenletCertificateLifetime = 30 * 24 * time.Hour

// Seed is a running seed, with what plays its gardenlet, and with the extension as soon as Gardener installs it there.
type Seed struct {
	// Cluster is its Kubernetes control plane.
	*cluster.Cluster
	// SeedName is the name of the Seed in the garden.
	SeedName string
	// Client has all rights in the seed, and knows Gardener's kinds.
	Client client.Client

	gardenlet *gardenlet.Gardenlet
	extension *workload.Deployments
}

// ExtensionProcess returns the extension's process in the seed, of its first replica, or nil while it does not run.
func (s *Seed) ExtensionProcess() *process.Process {
	for _, running := range s.extension.Processes() {
		return running
	}
	return nil
}

// ExtensionProcesses returns the processes of all replicas of the extension in the seed.
func (s *Seed) ExtensionProcesses() []*process.Process { return s.extension.Processes() }

// ExtensionNamespace returns the namespace in which Gardener has installed the extension. It is an error if it has not.
func (s *Seed) ExtensionNamespace(ctx context.Context) (string, error) {
	namespaces := &corev1.NamespaceList{}
	if err := s.Client.List(ctx, namespaces, client.MatchingLabels{v1beta1constants.LabelControllerRegistrationName: extension.Registration}); err != nil {
		return "", fmt.Errorf("failed to look for the extension's namespace in seed %s: %w", s.SeedName, err)
	}
	if len(namespaces.Items) != 1 {
		return "", fmt.Errorf("the extension has %d namespaces in seed %s", len(namespaces.Items), s.SeedName)
	}
	return namespaces.Items[0].Name, nil
}

func (s *Seed) stop() error {
	var err error
	if s.gardenlet != nil {
		err = s.gardenlet.Stop()
	}
	if s.Cluster != nil {
		err = errors.Join(err, s.Stop())
	}
	return err
}

// startSeedCluster starts the seed's control plane, prepared for gardenlet.
func (l *Landscape) startSeedCluster(ctx context.Context, clusterName, seedName string) (_ *Seed, err error) {
	s := &Seed{SeedName: seedName}
	if s.Cluster, err = cluster.Start(ctx, clusterName, l.etcd); err != nil {
		return nil, fmt.Errorf("failed to start the seed: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.Client, err = client.New(s.AdminConfig, client.Options{Scheme: kubernetes.SeedScheme}); err != nil {
		return nil, err
	}
	if err := gardenlet.InstallSeed(ctx, s.AdminConfig); err != nil {
		return nil, err
	}
	if err := s.StartControllers(ctx); err != nil {
		return nil, fmt.Errorf("failed to start the controllers of the seed: %w", err)
	}
	return s, nil
}

// startGardenlet starts what plays the seed's gardenlet. The context is its lifetime.
func (l *Landscape) startGardenlet(ctx context.Context, s *Seed) error {
	access, err := l.Garden.GardenletConfig(s.SeedName)
	if err != nil {
		return err
	}
	s.extension = extension.New(extension.Options{
		Seed: s.Client, Config: s.AdminConfig, Bin: l.options.Bin, Images: l.options.Images, Dir: l.options.Dir, Log: l.options.Log.WithName("extension"),
	})
	s.gardenlet, err = gardenlet.Start(ctx, gardenlet.Options{
		Garden:             access,
		Seed:               s.AdminConfig,
		SeedName:           s.SeedName,
		SeedSpec:           garden.SeedSpec(s.SeedName),
		GardenerVersion:    l.version,
		Bin:                l.options.Bin,
		Dir:                l.options.Dir,
		Log:                l.options.Log.WithName("gardenlet").WithValues("seed", s.SeedName),
		ShootCluster:       l.shoots.ensureCluster,
		DeployWorkers:      l.shoots.deployWorkers,
		DestroyWorkers:     l.shoots.destroyWorkers,
		DeleteShootCluster: l.shoots.deleteCluster,
		HibernateCluster:   l.shoots.hibernateCluster,
		Deployments:        []*workload.Deployments{s.extension},
	})
	if err != nil {
		return fmt.Errorf("failed to start the stand-in for gardenlet: %w", err)
	}
	l.progress("gardenlet of seed %s is ready", s.SeedName)
	return nil
}

// AddSeed starts one more seed. Shoots come to it as gardener-scheduler decides, or by their spec.seedName.
func (l *Landscape) AddSeed(ctx context.Context, name string) (*Seed, error) {
	s, err := l.startSeedCluster(ctx, "seed-"+name, name)
	if err != nil {
		return nil, err
	}
	l.Seeds = append(l.Seeds, s)
	if err := l.writeGardenletKubeconfig(ctx, s, gardenletCertificateLifetime); err != nil {
		return nil, err
	}
	return s, l.startGardenlet(l.lifetime, s)
}

// DeleteSeed orders the deletion of a Seed that has no shoots any more, and, as gardenlet does, that of its BackupBucket.
func (l *Landscape) DeleteSeed(ctx context.Context, name string) error {
	seed := &gardencorev1beta1.Seed{}
	if err := l.GardenClient.Get(ctx, client.ObjectKey{Name: name}, seed); err != nil {
		return fmt.Errorf("failed to read Seed %s: %w", name, err)
	}
	if err := l.GardenClient.Delete(ctx, seed); err != nil {
		return fmt.Errorf("failed to delete Seed %s: %w", name, err)
	}
	bucket := &gardencorev1beta1.BackupBucket{ObjectMeta: metav1.ObjectMeta{Name: string(seed.UID)}}
	if err := client.IgnoreNotFound(l.GardenClient.Delete(ctx, bucket)); err != nil {
		return fmt.Errorf("failed to delete the BackupBucket of Seed %s: %w", name, err)
	}
	return nil
}

// WriteGardenletKubeconfig gives gardenlet a new client certificate for the garden and writes it to Secret
// garden/gardenlet-kubeconfig of the first seed, as gardenlet does when it rotates its certificate.
func (l *Landscape) WriteGardenletKubeconfig(ctx context.Context, lifetime time.Duration) error {
	return l.writeGardenletKubeconfig(ctx, l.Seed, lifetime)
}

func (l *Landscape) writeGardenletKubeconfig(ctx context.Context, s *Seed, lifetime time.Duration) error {
	kubeconfig, err := l.Garden.GardenletKubeconfig(s.SeedName, lifetime)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}}
	_, err = controllerutils.GetAndCreateOrMergePatch(ctx, s.Client, secret, func() error {
		secret.Data = map[string][]byte{kubernetes.KubeConfig: kubeconfig}
		return nil
	})
	return err
}
