// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/test/integration"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// size is how many shoots there are, and in how many projects.
type size struct {
	shoots, projects int
	// layered tells that shoots differ from their project: by key overrides of its ConfigMap, and by a providerConfig of each.
	layered bool
}

func (s size) String() string {
	if s.layered {
		return fmt.Sprintf("%d/%d layered", s.shoots, s.projects)
	}
	return fmt.Sprintf("%d/%d", s.shoots, s.projects)
}

// landscape is the surroundings of the extension for one size. Each has servers of its own, so that none is measured on what another left.
type landscape struct {
	size     size
	bin      process.Binaries
	dir      string
	progress io.Writer
	// profiled tells that profiles of the extension are taken.
	profiled bool

	// garden also stands in for the API servers of shoots that have no Flux yet.
	garden, seed *integration.Server
	// shoot stands in for the API servers of all shoots that have Flux.
	shoot *integration.Server
	proxy *shootProxy

	observer   *observer
	managers   *resourceManagers
	seedLog    *auditLog
	gardenLog  *auditLog
	background *errgroup.Group
	cancel     context.CancelFunc
	// fail is called when a program ends by itself.
	fail context.CancelCauseFunc
}

// startLandscape starts the servers and what plays Gardener. The extension is not among it.
func startLandscape(ctx context.Context, servers *integration.Servers, size size, dir string, progress io.Writer) (*landscape, error) {
	bin, err := process.FindBinaries()
	if err != nil {
		return nil, err
	}
	l := &landscape{size: size, bin: bin, dir: dir, progress: progress}
	if err := l.startServers(ctx, servers); err != nil {
		return nil, err
	}
	if err := l.grantRights(ctx); err != nil {
		return nil, err
	}
	if l.proxy, err = newShootProxy(l.garden.Config, l.shoot.Config); err != nil {
		return nil, err
	}
	l.seedLog, l.gardenLog = newAuditLog(l.seed), newAuditLog(l.garden)
	ctx, l.cancel = context.WithCancel(ctx)
	l.background, ctx = errgroup.WithContext(ctx)
	l.background.Go(func() error { return l.proxy.serve(ctx) })
	l.managers = newResourceManagers(l.seed, l.shoot, l.proxy)
	l.background.Go(func() error { return l.managers.run(ctx) })
	l.observer, err = startObserver(ctx, l)
	return l, err
}

func (l *landscape) startServers(ctx context.Context, servers *integration.Servers) error {
	name := func(kind string) string { return fmt.Sprintf("%s-%d-%d", kind, l.size.shoots, l.size.projects) }
	var group errgroup.Group
	group.Go(func() (err error) { l.garden, err = servers.Start(ctx, name("garden")); return err })
	group.Go(func() (err error) { l.seed, err = servers.StartSeed(ctx, name("seed")); return err })
	group.Go(func() (err error) { l.shoot, err = servers.Start(ctx, name("shoot")); return err })
	return group.Wait()
}

// grantRights gives the extension all rights in garden and seed. It does so by RBAC and not by group system:masters, whose requests
// pass the API servers' priority and fairness, as those of an extension don't.
func (l *landscape) grantRights(ctx context.Context) error {
	for _, server := range []*integration.Server{l.garden, l.seed} {
		binding := &rbacv1.ClusterRoleBinding{
			ObjectMeta: metav1.ObjectMeta{Name: extensionUser},
			RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "cluster-admin"},
			Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: extensionUser}},
		}
		if err := server.Client.Create(ctx, binding); err != nil {
			return fmt.Errorf("failed to give the extension its rights in %s: %w", server.Name, err)
		}
	}
	return nil
}

// stop ends everything of the landscape but etcd.
func (l *landscape) stop() error {
	l.cancel()
	err := l.background.Wait()
	for _, server := range []*integration.Server{l.garden, l.seed, l.shoot} {
		_ = server.Stop()
	}
	return err
}

// phase reports the begin of a part of the measurement, and returns what reports its end.
func (l *landscape) phase(format string, args ...any) (end func(format string, args ...any)) {
	began, name := time.Now(), fmt.Sprintf("%s: %s", l.size, fmt.Sprintf(format, args...))
	fmt.Fprintf(l.progress, "%s %s\n", began.Format(time.TimeOnly), name)
	return func(format string, args ...any) {
		fmt.Fprintf(l.progress, "%s %s: done after %.1f s%s\n", time.Now().Format(time.TimeOnly), name, time.Since(began).Seconds(), fmt.Sprintf(format, args...))
	}
}
