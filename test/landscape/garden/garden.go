// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/discovery"
	apiregistrationv1 "k8s.io/kube-aggregator/pkg/apis/apiregistration/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/pkg/client/kubernetes"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/certificates"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/cluster"
	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const (
	// ClusterIdentity is the garden's identity.
	ClusterIdentity = "landscape"

	// clusterName is the garden's among the clusters of a landscape.
	clusterName = "garden"

	// servedTimeout is long enough for a kube-apiserver that asks an API that did not answer only every 30 seconds, on a busy machine.
	servedTimeout  = 3 * time.Minute
	servedInterval = 100 * time.Millisecond
)

// Garden is a running garden.
type Garden struct {
	// Cluster is its Kubernetes control plane.
	*cluster.Cluster
	// GardenerAPIServer serves Gardener's API.
	GardenerAPIServer *process.Process
	// AdmissionController decides what gardenlets and extensions may do, and checks what users write.
	AdmissionController *process.Process
	// GardenerControllerManager has the controllers of Projects, ControllerRegistrations and more.
	GardenerControllerManager *process.Process
	// GardenerScheduler finds seeds for Shoots.
	GardenerScheduler *process.Process

	etcd                                 *cluster.Etcd
	client                               client.Client
	authority                            *certificates.Authority
	authorityPEM                         []byte
	apiServerEndpoint, admissionEndpoint endpoint
	operator                             *operator
}

// Options configure a garden.
type Options struct {
	// Etcd is where the garden stores everything.
	Etcd *cluster.Etcd
	// WithoutSeedAuthorizer makes a garden as it was before Gardener had the SeedAuthorizer and SeedRestriction, or with these switched off:
	// gardenlets may do everything.
	WithoutSeedAuthorizer bool
}

// Start starts a garden. If that fails, nothing is left running.
func Start(ctx context.Context, options Options) (_ *Garden, err error) {
	g := &Garden{etcd: options.Etcd}
	if err := g.prepare(); err != nil {
		return nil, fmt.Errorf("failed to prepare the garden: %w", err)
	}
	args, err := cluster.AggregationArgs(clusterName, options.Etcd)
	if err != nil {
		return nil, err
	}
	if !options.WithoutSeedAuthorizer {
		file, err := g.writeAuthorizationConfig()
		if err != nil {
			return nil, err
		}
		args = append(args, "--authorization-config="+file)
	}
	if g.Cluster, err = cluster.Start(ctx, clusterName, options.Etcd, args...); err != nil {
		return nil, err
	}
	if err := g.startGardener(ctx, !options.WithoutSeedAuthorizer); err != nil {
		return nil, errors.Join(err, g.Stop())
	}
	return g, nil
}

func (g *Garden) prepare() (err error) {
	if g.authority, err = certificates.NewAuthority("ca-gardener"); err != nil {
		return err
	}
	if g.authorityPEM, err = g.authority.PEM(); err != nil {
		return err
	}
	if g.apiServerEndpoint, err = newEndpoint(); err != nil {
		return err
	}
	if g.admissionEndpoint, err = newEndpoint(); err != nil {
		return err
	}
	g.operator, err = newOperator(g.authorityPEM, g.apiServerEndpoint, g.admissionEndpoint)
	return err
}

// startGardener turns the running cluster into a garden.
func (g *Garden) startGardener(ctx context.Context, seedAuthorizer bool) (err error) {
	if g.client, err = client.New(g.AdminConfig, client.Options{Scheme: kubernetes.GardenScheme}); err != nil {
		return fmt.Errorf("failed to connect to the garden: %w", err)
	}
	if err := g.ensure(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: metav1.NamespaceSystem}}); err != nil {
		return err
	}
	if err := g.applySystem(ctx, seedAuthorizer); err != nil {
		return err
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return g.StartControllers(groupCtx) })
	group.Go(func() error { return g.serveGardenerAPI(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	group, groupCtx = errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := g.startAdmissionController(groupCtx); err != nil {
			return err
		}
		return g.apply(groupCtx, func(ctx context.Context) ([]byte, error) {
			return g.operator.admissionControllerWebhooks(ctx, seedAuthorizer)
		})
	})
	group.Go(func() error { return g.startControllerManager(groupCtx) })
	group.Go(func() error { return g.startScheduler(groupCtx) })
	group.Go(func() error { return g.createCatalogue(groupCtx) })
	return group.Wait()
}

// applySystem applies what Gardener's programs need before they start.
func (g *Garden) applySystem(ctx context.Context, seedAuthorizer bool) error {
	return errors.Join(
		g.apply(ctx, func(ctx context.Context) ([]byte, error) { return g.operator.system(ctx, seedAuthorizer) }),
		g.apply(ctx, func(ctx context.Context) ([]byte, error) {
			version, err := g.kubernetesVersion()
			if err != nil {
				return nil, err
			}
			return g.operator.apiServerObjects(ctx, version)
		}),
		g.apply(ctx, g.operator.admissionControllerRights),
		g.apply(ctx, g.operator.controllerManagerObjects),
		g.apply(ctx, g.operator.schedulerObjects),
	)
}

func (g *Garden) apply(ctx context.Context, render func(context.Context) ([]byte, error)) error {
	manifest, err := render(ctx)
	if err != nil {
		return err
	}
	return g.ApplyYAML(ctx, manifest)
}

func (g *Garden) kubernetesVersion() (*semver.Version, error) {
	discovery, err := discovery.NewDiscoveryClientForConfig(g.AdminConfig)
	if err != nil {
		return nil, err
	}
	version, err := discovery.ServerVersion()
	if err != nil {
		return nil, fmt.Errorf("failed to ask the garden for its version: %w", err)
	}
	return semver.NewVersion(version.GitVersion)
}

// serveGardenerAPI starts gardener-apiserver, and returns when the garden's kube-apiserver serves Gardener's API.
func (g *Garden) serveGardenerAPI(ctx context.Context) error {
	if err := g.startAPIServer(ctx); err != nil {
		return err
	}
	discoveryClient, err := discovery.NewDiscoveryClientForConfig(g.AdminConfig)
	if err != nil {
		return fmt.Errorf("failed to connect to the garden: %w", err)
	}
	var last error
	err = wait.PollUntilContextTimeout(ctx, servedInterval, servedTimeout, true, func(ctx context.Context) (bool, error) {
		last = g.checkServed(ctx, discoveryClient)
		return last == nil, nil
	})
	if err != nil {
		return fmt.Errorf("the garden does not serve Gardener's API: %w: %w", err, last)
	}
	return nil
}

// checkServed checks that each API of Gardener is found and answers. The kube-apiserver learns of one after the other that it is served, and Gardener's
// programs end if one is missing when they start.
func (g *Garden) checkServed(ctx context.Context, discoveryClient *discovery.DiscoveryClient) error {
	services := &apiregistrationv1.APIServiceList{}
	if err := g.client.List(ctx, services); err != nil {
		return fmt.Errorf("failed to list APIServices: %w", err)
	}
	_, found, stale, err := discoveryClient.GroupsAndMaybeResources()
	if err != nil {
		return fmt.Errorf("failed to ask for the APIs that are served: %w", err)
	}
	served := 0
	for _, service := range services.Items {
		if service.Spec.Service == nil { // by the kube-apiserver itself
			continue
		}
		version := schema.GroupVersion{Group: service.Spec.Group, Version: service.Spec.Version}
		if _, ok := found[version]; !ok {
			return errors.Join(fmt.Errorf("%s is not found", version), stale[version])
		}
		if _, err := discoveryClient.ServerResourcesForGroupVersion(version.String()); err != nil {
			return fmt.Errorf("%s does not answer: %w", version, err)
		}
		served++
	}
	if served == 0 {
		return errors.New("there is no APIService of another API server")
	}
	return nil
}

// Stop ends the garden's programs, the kube-apiserver last. It reports those that had ended before by themselves.
func (g *Garden) Stop() error {
	programs := []*process.Process{g.GardenerScheduler, g.GardenerControllerManager, g.AdmissionController, g.GardenerAPIServer}
	errs := make([]error, len(programs)+1)
	var group sync.WaitGroup
	for i, program := range programs {
		if program != nil {
			group.Go(func() { errs[i] = program.Stop() })
		}
	}
	group.Wait()
	errs[len(programs)] = g.Cluster.Stop()
	return errors.Join(errs...)
}

// ensure creates the object if it does not exist. It waits for admission plugins that have not read yet what they decide by.
func (g *Garden) ensure(ctx context.Context, object client.Object) error {
	var notReady error
	err := wait.PollUntilContextTimeout(ctx, servedInterval, servedTimeout, true, func(ctx context.Context) (bool, error) {
		err := client.IgnoreAlreadyExists(g.client.Create(ctx, object))
		if apierrors.IsForbidden(err) && strings.HasSuffix(err.Error(), "not yet ready to handle request") {
			notReady = err
			return false, nil
		}
		return true, err
	})
	if wait.Interrupted(err) {
		err = errors.Join(err, notReady)
	}
	if err != nil {
		return fmt.Errorf("failed to create %T %s in the garden: %w", object, client.ObjectKeyFromObject(object), err)
	}
	return nil
}
