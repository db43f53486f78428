// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package landscape is a small Gardener landscape of real programs on one machine: a garden, a seed and shoots, each with its
// own kube-apiserver, gardener-resource-manager, Flux's controllers, a Git server, and the extension. Nothing of it is in a
// container, needs root, or listens to anything but the loopback interface.
package landscape

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
	"github.com/gardener/gardener/pkg/controllerutils"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// gardenletCertificateLifetime is long enough for a landscape that somebody plays with.
const gardenletCertificateLifetime = 30 * 24 * time.Hour

// Options configure a landscape.
type Options struct {
	// Dir is the directory of all state and logs. It must be new or empty.
	Dir string
	// Kubeconfigs, if set, is a directory that gets an administrator's kubeconfig for each cluster: kubeconfig.yaml for the
	// seed, garden.yaml, and <shoot's namespace in the seed>.yaml.
	Kubeconfigs string
	// Bin has the programs.
	Bin process.Binaries
	// Progress gets a line for each thing that became ready.
	Progress io.Writer
	// Log gets the log of what runs in this process.
	Log logr.Logger
}

// Landscape is a running landscape.
type Landscape struct {
	// Garden and Seed are running clusters.
	Garden, Seed *cluster.Cluster
	// GardenClient and SeedClient have all rights, and know Gardener's kinds.
	GardenClient, SeedClient client.Client
	// Git is the running Git server.
	Git *gitserver.Server

	options   Options
	version   string // of Gardener
	etcd      *cluster.Etcd
	gardenlet *gardenlet.Gardenlet
	shoots    shoots
	extension registeredExtension
	cancel    context.CancelFunc
	exited    chan error
	closers   []io.Closer
}

// Start starts a landscape without projects, shoots and extension. If that fails, nothing is left running.
func Start(ctx context.Context, options Options) (_ *Landscape, err error) {
	if options.Progress == nil {
		options.Progress = io.Discard
	}
	options.Progress = &lineWriter{writer: options.Progress}
	if err := os.MkdirAll(filepath.Join(options.Dir, "logs"), 0o700); err != nil {
		return nil, fmt.Errorf("failed to create the landscape's directory: %w", err)
	}

	version, err := gardenerVersion(options.Bin)
	if err != nil {
		return nil, err
	}

	// The programs live as long as the landscape, not only as long as its start may take.
	lifetime, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &Landscape{options: options, version: version, cancel: cancel, exited: make(chan error, 1)}
	l.shoots.landscape = l
	defer func() {
		if err != nil {
			err = errors.Join(err, l.Stop())
		}
	}()

	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error { return l.startGit(lifetime) })
	group.Go(func() error { return l.startClusters(groupContext) })
	if err := group.Wait(); err != nil {
		return nil, err
	}
	if err := l.startGardenlet(lifetime); err != nil {
		return nil, err
	}
	go l.installRegisteredExtension(lifetime)
	return l, nil
}

// Stop ends all programs, in the reverse order. It reports those that had ended by themselves.
func (l *Landscape) Stop() error {
	l.cancel()
	errs := []error{l.extension.stop()}
	if l.gardenlet != nil {
		errs = append(errs, l.gardenlet.Stop())
	}
	errs = append(errs, l.shoots.stop())
	for _, c := range []*cluster.Cluster{l.Seed, l.Garden} {
		if c != nil {
			errs = append(errs, c.Stop())
		}
	}
	if l.etcd != nil {
		errs = append(errs, l.etcd.Stop())
	}
	if l.Git != nil {
		l.Git.Close()
	}
	for _, closer := range l.closers {
		errs = append(errs, closer.Close())
	}
	return errors.Join(errs...)
}

// Exited delivers an error when a program of the landscape ends though nobody stopped it.
func (l *Landscape) Exited() <-chan error { return l.exited }

func (l *Landscape) onExit(err error) {
	select {
	case l.exited <- err:
	default: // one is enough to know that something is wrong
	}
}

func (l *Landscape) progress(format string, args ...any) {
	_, _ = fmt.Fprintf(l.options.Progress, format+"\n", args...)
}

func (l *Landscape) startGit(ctx context.Context) error {
	log, err := os.Create(filepath.Join(l.options.Dir, "logs", "git.log"))
	if err != nil {
		return fmt.Errorf("failed to create the log of the Git server: %w", err)
	}
	l.closers = append(l.closers, log)
	if l.Git, err = gitserver.Start(ctx, gitserver.Options{Dir: filepath.Join(l.options.Dir, "git"), Log: log}); err != nil {
		return fmt.Errorf("failed to start the Git server: %w", err)
	}
	l.progress("git server is ready")
	return nil
}

func (l *Landscape) startClusters(ctx context.Context) (err error) {
	if l.etcd, err = cluster.StartEtcd(ctx, cluster.Options{Dir: l.options.Dir, Bin: l.options.Bin, Progress: l.options.Progress, OnExit: l.onExit}); err != nil {
		return fmt.Errorf("failed to start etcd: %w", err)
	}
	group, groupContext := errgroup.WithContext(ctx)
	group.Go(func() error { return l.startGarden(groupContext) })
	group.Go(func() error { return l.startSeed(groupContext) })
	if err := group.Wait(); err != nil {
		return err
	}
	return l.WriteGardenletKubeconfig(ctx, gardenletCertificateLifetime)
}

func (l *Landscape) startGarden(ctx context.Context) (err error) {
	if l.Garden, err = cluster.Start(ctx, "garden", l.etcd); err != nil {
		return fmt.Errorf("failed to start the garden: %w", err)
	}
	if l.GardenClient, err = client.New(gardenlet.GardenConfig(l.Garden.AdminConfig), client.Options{Scheme: kubernetes.GardenScheme}); err != nil {
		return err
	}
	if err := gardenlet.InstallGarden(ctx, l.Garden.AdminConfig); err != nil {
		return err
	}
	return errors.Join(l.allowGardenlet(ctx), l.writeKubeconfig("garden", l.Garden))
}

func (l *Landscape) startSeed(ctx context.Context) (err error) {
	if l.Seed, err = cluster.Start(ctx, "seed", l.etcd); err != nil {
		return fmt.Errorf("failed to start the seed: %w", err)
	}
	if l.SeedClient, err = client.New(l.Seed.AdminConfig, client.Options{Scheme: kubernetes.SeedScheme}); err != nil {
		return err
	}
	if err := gardenlet.InstallSeed(ctx, l.Seed.AdminConfig); err != nil {
		return err
	}
	if err := l.Seed.StartControllers(ctx); err != nil {
		return fmt.Errorf("failed to start the controllers of the seed: %w", err)
	}
	return l.writeKubeconfig("kubeconfig", l.Seed)
}

func (l *Landscape) startGardenlet(ctx context.Context) (err error) {
	l.gardenlet, err = gardenlet.Start(ctx, gardenlet.Options{
		Garden:             l.Garden.AdminConfig,
		Seed:               l.Seed.AdminConfig,
		GardenerVersion:    l.version,
		Bin:                l.options.Bin,
		Dir:                l.options.Dir,
		Log:                l.options.Log.WithName("gardenlet"),
		ShootCluster:       l.shoots.ensureCluster,
		DeployWorkers:      l.shoots.deployWorkers,
		DestroyWorkers:     l.shoots.destroyWorkers,
		DeleteShootCluster: l.shoots.deleteCluster,
	})
	if err != nil {
		return fmt.Errorf("failed to start the stand-in for gardenlet: %w", err)
	}
	l.progress("gardenlet is ready")
	return nil
}

// allowGardenlet gives gardenlet all rights in the garden, as in landscapes without the SeedAuthorizer.
func (l *Landscape) allowGardenlet(ctx context.Context) error {
	binding := &rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: v1beta1constants.SeedsGroup}}
	_, err := controllerutils.GetAndCreateOrMergePatch(ctx, l.GardenClient, binding, func() error {
		binding.RoleRef = rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"}
		binding.Subjects = []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: v1beta1constants.SeedsGroup}}
		return nil
	})
	return err
}

// WriteGardenletKubeconfig gives gardenlet a new client certificate for the garden and writes it to Secret
// garden/gardenlet-kubeconfig of the seed, as gardenlet does when it rotates its certificate.
func (l *Landscape) WriteGardenletKubeconfig(ctx context.Context, lifetime time.Duration) error {
	kubeconfig, err := l.Garden.ClientCertKubeconfig(v1beta1constants.SeedUserNamePrefix+gardenlet.DefaultSeedName, []string{v1beta1constants.SeedsGroup}, lifetime)
	if err != nil {
		return err
	}
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}}
	_, err = controllerutils.GetAndCreateOrMergePatch(ctx, l.SeedClient, secret, func() error {
		secret.Data = map[string][]byte{kubernetes.KubeConfig: kubeconfig}
		return nil
	})
	return err
}

func (l *Landscape) writeKubeconfig(name string, c *cluster.Cluster) error {
	if l.options.Kubeconfigs == "" {
		return nil
	}
	kubeconfig, err := os.ReadFile(c.Kubeconfig)
	if err != nil {
		return fmt.Errorf("failed to read the kubeconfig of cluster %s: %w", c.Name, err)
	}
	if err := os.MkdirAll(l.options.Kubeconfigs, 0o700); err != nil {
		return fmt.Errorf("failed to create the directory of kubeconfigs: %w", err)
	}
	if err := os.WriteFile(filepath.Join(l.options.Kubeconfigs, name+".yaml"), kubeconfig, 0o600); err != nil {
		return fmt.Errorf("failed to write a kubeconfig of cluster %s: %w", c.Name, err)
	}
	return nil
}

// CreateProject creates a project with its namespace in the garden, and returns the namespace.
func (l *Landscape) CreateProject(ctx context.Context, name string) (string, error) {
	return gardenlet.CreateProject(ctx, l.Garden.AdminConfig, name)
}

// lineWriter lets several goroutines write lines.
type lineWriter struct {
	mutex  sync.Mutex
	writer io.Writer
}

func (w *lineWriter) Write(line []byte) (int, error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return w.writer.Write(line)
}
