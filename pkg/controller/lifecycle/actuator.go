// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle reconciles Extensions of type shoot-flux: from what the project admin configured in the garden to the
// ManagedResources that bring Flux into the shoot.
package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/resourcemanager"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// Actuator does the work of the controller. All fields but Shoots are required.
type Actuator struct {
	// Seed is a client of the seed that doesn't cache.
	Seed client.Client
	// Shoots get the credentials that have been read for a reconciliation.
	Shoots *shoot.Clients
	// Garden is the way into the garden.
	Garden *garden.Access
	// Releases are the Flux releases that can be installed.
	Releases *release.Catalogue
	// Images tells where the shoots get Flux's images from. It is asked at each reconciliation, because a pull secret can
	// be rotated.
	Images func() (render.Images, error)
	// Sources keeps the credentials of projects in the garden.
	Sources *source.Keeper
	// GardenerVersion counts where the image of a gardener-resource-manager tells no version; it may be empty.
	GardenerVersion string

	installations installations
	// read has the references of all ManagedResources that have been looked into.
	read     *managedresource.References
	readOnce sync.Once
}

// references returns what the ManagedResources of shoots hold.
func (a *Actuator) references() *managedresource.References {
	a.readOnce.Do(func() { a.read = managedresource.NewReferences() })
	return a.read
}

var _ extension.Actuator = (*Actuator)(nil)

// Reconcile brings Flux and the project's repository into the shoot. It does not wait for the shoot.
func (a *Actuator) Reconcile(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer metrics.ObserveOperation(metrics.OperationReconcile, time.Now(), &err)
	return a.reconcile(ctx, log, ex)
}

// Restore continues on the seed that has taken over.
func (a *Actuator) Restore(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer metrics.ObserveOperation(metrics.OperationRestore, time.Now(), &err)
	return a.reconcile(ctx, log, ex)
}

func (a *Actuator) reconcile(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	shoot, err := a.shoot(ctx, ex.Namespace)
	if err != nil {
		return err
	}
	log = log.WithValues("project", shoot.Namespace, "shoot", shoot.Name)
	if shoot.DeletionTimestamp != nil {
		return a.prepareForDeletion(ctx, ex)
	}
	found, err := a.findInstalled(ctx, ex)
	switch {
	case err != nil:
		return err
	case v1beta1helper.IsWorkerless(shoot):
		return fmt.Errorf("the Shoot %s has no workers, and Flux can't run without: remove extension %s from the Shoot", client.ObjectKeyFromObject(shoot), Type)
	case v1beta1helper.HibernationIsEnabled(shoot):
		log.Info("The shoot sleeps, and gets what has changed when it wakes up")
		return nil
	}
	switch was, err := a.hasPredecessor(ctx, ex, found.installation); {
	case err != nil:
		return err
	case was:
		if err := a.releasePredecessor(ctx, ex.Namespace); err != nil {
			return err
		}
	}
	return a.settle(ctx, log, ex, found.state, a.bringFlux(ctx, log, ex, shoot, found))
}

// bringFlux is the way from the project's configuration to the ManagedResources. What can go wrong until the first write is somebody's
// mistake, or that of a server that others run; after that, it is the seed's.
func (a *Actuator) bringFlux(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot, found *installed) error {
	gardenClient, err := a.Garden.Client(ctx)
	if err != nil {
		return err
	}

	configuration, err := readWanted(ctx, gardenClient, shoot, ex)
	if err != nil {
		return err
	}
	has, err := a.findPresent(ctx, ex.Namespace, found)
	if err != nil {
		return err
	}
	flux, err := a.chooseFlux(ctx, ex, shoot, configuration, has)
	if err != nil {
		return err
	}
	credentials, objects, err := a.follow(ctx, gardenClient, ex, shoot.Namespace, configuration, flux)
	if err != nil {
		return err
	}
	if err := a.checkExisting(ctx, ex, has, flux, objects); err != nil {
		return err
	}
	if err := keepUsersFlux(ctx, has, objects); err != nil {
		return err
	}
	if err := describe(&flux.status, configuration.Flux.Namespace, objects, credentials); err != nil {
		return err
	}
	if flux.status.Fields, err = render.FieldDigests(objects); err != nil {
		return err
	}

	logRelease(log, fluxv1alpha1.StatusOf(ex), flux)
	if err := a.install(ctx, shoot, ex, configuration, has, flux); err != nil {
		return err
	}
	// Before the configuration, whose digest tells whether a floating version may move.
	if err := a.writeStatus(ctx, ex, updated(ex, flux.status)); err != nil {
		return mustFail(err)
	}
	if err := a.configure(ctx, ex.Namespace, configuration, credentials, objects, has); err != nil {
		return err
	}
	// gardenlet gives its gardener-resource-manager the right argument when it tries again.
	if err := a.checkResourceManager(ctx, ex.Namespace, shoot, flux.status); err != nil {
		return mustFail(err)
	}
	return a.handOver(ctx, ex, configuration)
}

// logRelease says once which release a shoot gets, and because of what.
func logRelease(log logr.Logger, before fluxv1alpha1.FluxStatus, flux *chosen) {
	now := flux.status
	if now.Version != before.Version || now.Digest != before.Digest || now.Requested != before.Requested || now.Origin != before.Origin {
		log.Info("The shoot gets Flux", "release", now.Version, "requested", now.Requested, "origin", now.Origin, "digest", now.Digest, "releaseBefore", before.Version)
	}
}

// follow keeps the credentials of a project for its repository, and renders what makes Flux follow it.
func (a *Actuator) follow(ctx context.Context, gardenClient client.Client, ex *extensionsv1alpha1.Extension, project string, configuration *wanted, flux *chosen) (_ *source.Credentials, _ []client.Object, err error) {
	defer metrics.ObservePhase(metrics.PhaseSource, time.Now(), &err)
	credentials, err := a.Sources.Ensure(ctx, gardenClient, project, configuration.Repository)
	if err != nil {
		return nil, nil, err
	}
	if credentials, err = credentials.ForRelease(flux.version); err != nil {
		return nil, nil, err
	}
	flux.status.Notices = noticesOf(project, flux.warning, credentials)
	if err := a.addNotices(ctx, ex, flux.status.Notices...); err != nil { // at once: the key pair is made only once
		return nil, nil, err
	}
	rendered, err := flux.Configuration(render.Wanted{Config: configuration.FluxConfig, Credentials: credentials})
	if err != nil {
		return nil, nil, err
	}
	return credentials, rendered.Objects, nil
}

// configure makes Flux follow the project's repository.
func (a *Actuator) configure(ctx context.Context, namespace string, configuration *wanted, credentials *source.Credentials, objects []client.Object, has *present) (err error) {
	defer metrics.ObservePhase(metrics.PhaseConfigure, time.Now(), &err)
	data, err := managedresource.Serialize(objects)
	if err != nil {
		return err
	}
	labels := map[string]string{managedresource.ConfigurationDigestLabel: configuration.projectDigest, managedresource.SourceVersionLabel: ""}
	if credentials != nil {
		labels[managedresource.SourceVersionLabel] = credentials.Version
	}
	return mustFail(managedresource.Apply(ctx, a.Seed, namespace, managedresource.Configuration, labels, data, has.configuration))
}

// shoot returns the Shoot to which a namespace of the seed belongs.
func (a *Actuator) shoot(ctx context.Context, namespace string) (*gardencorev1beta1.Shoot, error) {
	cluster := &extensionsv1alpha1.Cluster{}
	if err := a.Seed.Get(ctx, client.ObjectKey{Name: namespace}, cluster); err != nil {
		return nil, fmt.Errorf("failed to read Cluster %s of the seed: %w", namespace, err)
	}
	shoot, err := extensions.ShootFromCluster(cluster)
	if err != nil {
		return nil, fmt.Errorf("failed to read the Shoot in Cluster %s of the seed: %w", namespace, err)
	}
	if shoot == nil {
		return nil, fmt.Errorf("the Cluster %s of the seed holds no Shoot: gardenlet has not written it yet", namespace)
	}
	return shoot, nil
}

func (a *Actuator) checkResourceManager(ctx context.Context, namespace string, shoot *gardencorev1beta1.Shoot, status fluxv1alpha1.FluxStatus) error {
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: namespace, Name: resourcemanager.DeploymentName}
	if err := a.Seed.Get(ctx, key, deployment); err != nil {
		return fmt.Errorf("failed to read Deployment %s of the seed, which applies Flux to the shoot: %w", key, err)
	}
	return resourcemanager.CheckNamespaces(deployment, a.GardenerVersion, client.ObjectKeyFromObject(shoot).String(), namespacesOf(status)...)
}
