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

	"github.com/go-logr/logr"
	"golang.org/x/sync/errgroup"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gardenlet"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/gitserver"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/operator"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/workload"
)

// Options configure a landscape.
type Options struct {
	// Dir is the directory of all state and logs. It must be new or empty.
	Dir string
	// Kubeconfigs, if set, is a directory that gets an administrator's kubeconfig for each cluster: kubeconfig.yaml for the
	// seed, garden.yaml, and <shoot's namespace in the seed>.yaml.
	Kubeconfigs string
	// Bin has the programs.
	Bin process.Binaries
	// Images, if set, are where seeds take the extension's image from. Without, they run the program of Bin.
	Images *workload.Images
	// OldLandscape makes a landscape as Gardener's were before the SeedAuthorizer: gardenlets may do everything in the garden.
	OldLandscape bool
	// Progress gets a line for each thing that became ready.
	Progress io.Writer
	// Log gets the log of what runs in this process.
	Log logr.Logger
}

// Landscape is a running landscape.
type Landscape struct {
	// Garden is the running garden.
	Garden *garden.Garden
	// Seed is the first seed; Seeds are all, see [Landscape.AddSeed].
	Seed  *Seed
	Seeds []*Seed
	// GardenClient has all rights in the garden, SeedClient in the first seed. They know Gardener's kinds.
	GardenClient, SeedClient client.Client
	// Git is the running Git server.
	Git *gitserver.Server

	options  Options
	version  string // of Gardener
	etcd     *cluster.Etcd
	operator *operator.Operator // nil without StartOperator
	shoots   shoots
	lifetime context.Context //nolint:containedctx // of what runs in this process, ended by cancel
	cancel   context.CancelFunc
	exited   chan error

	endings sync.Mutex // guards atEnd
	atEnd   []func() error
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
	l := &Landscape{options: options, version: version, lifetime: lifetime, cancel: cancel, exited: make(chan error, 1)}
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
	if err := l.startGardenlet(lifetime, l.Seed); err != nil {
		return nil, err
	}
	return l, nil
}

// Stop ends all programs, in the reverse order. It reports those that had ended by themselves.
func (l *Landscape) Stop() error {
	l.cancel()
	var errs []error
	for _, s := range l.Seeds {
		if s.gardenlet != nil {
			errs = append(errs, s.gardenlet.Stop())
			s.gardenlet = nil
		}
	}
	errs = append(errs, l.shoots.stop())
	for _, s := range l.Seeds {
		errs = append(errs, s.stop())
	}
	if l.operator != nil {
		errs = append(errs, l.operator.Stop())
	}
	if l.Garden != nil {
		errs = append(errs, l.Garden.Stop())
	}
	if l.etcd != nil {
		errs = append(errs, l.etcd.Stop())
	}
	if l.Git != nil {
		l.Git.Close()
	}
	l.endings.Lock()
	defer l.endings.Unlock()
	for _, end := range l.atEnd {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}

// stopWith has Stop end something more.
func (l *Landscape) stopWith(end func() error) {
	l.endings.Lock()
	defer l.endings.Unlock()
	l.atEnd = append(l.atEnd, end)
}

// StartOperator gives the garden a runtime cluster, in which Extensions of gardener-operator may be. The definitions are those of its custom
// resources and of ManagedResources.
func (l *Landscape) StartOperator(ctx context.Context, definitions ...[]byte) (*operator.Operator, error) {
	o, err := operator.Start(ctx, operator.Options{
		Lifetime: l.lifetime, Garden: l.Garden, Etcd: l.etcd, Definitions: definitions, Bin: l.options.Bin, Log: l.options.Log.WithName("operator"),
	})
	if err != nil {
		return nil, err
	}
	l.operator = o
	l.progress("gardener-operator's controllers of extensions are ready")
	return o, nil
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
	l.stopWith(log.Close)
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
	if l.Garden, err = garden.Start(ctx, garden.Options{Etcd: l.etcd, WithoutSeedAuthorizer: l.options.OldLandscape}); err != nil {
		return fmt.Errorf("failed to start the garden: %w", err)
	}
	if l.GardenClient, err = client.New(l.Garden.AdminConfig, client.Options{Scheme: kubernetes.GardenScheme}); err != nil {
		return err
	}
	return l.writeKubeconfig("garden", l.Garden.Cluster)
}

func (l *Landscape) startSeed(ctx context.Context) (err error) {
	if l.Seed, err = l.startSeedCluster(ctx, "seed", gardenlet.DefaultSeedName); err != nil {
		return err
	}
	l.SeedClient, l.Seeds = l.Seed.Client, []*Seed{l.Seed}
	return l.writeKubeconfig("kubeconfig", l.Seed.Cluster)
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
	return l.Garden.CreateProject(ctx, name)
}

// ExtensionProcess returns the extension's process in the first seed, or nil while Gardener has not installed it there.
func (l *Landscape) ExtensionProcess() *process.Process { return l.Seed.ExtensionProcess() }

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
