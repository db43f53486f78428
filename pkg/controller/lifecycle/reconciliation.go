// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/go-logr/logr"
	appsv1 "k8s.io/api/apps/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/resourcemanager"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// reconciliation is one operation on the Extension of a shoot, and what has been found out for it so far.
type reconciliation struct {
	*Actuator
	log       logr.Logger
	extension *extensionsv1alpha1.Extension
	// shoot is nil where an operation is the same for all shoots.
	shoot    *gardencorev1beta1.Shoot
	observed observed
	desired  desired

	gardenClient client.Client
	// knownShootClient is nil until connectToShoot is first called.
	knownShootClient client.Client
}

// step is a part of an operation. It does not wait: its error says what is missing, and the next operation begins anew, and finds out by itself
// how far this one came.
type step struct {
	// phase is what the step is in metrics, if it is there.
	phase metrics.Phase
	do    func(context.Context) error
}

// run does one step after the other, up to the first that fails.
func (r *reconciliation) run(ctx context.Context, steps []step) error {
	for _, step := range steps {
		if err := step.run(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s step) run(ctx context.Context) (err error) {
	if s.phase != "" {
		defer metrics.ObservePhase(s.phase, time.Now(), &err)
	}
	return s.do(ctx)
}

// reconcile brings Flux and the project's repository into the shoot.
func (r *reconciliation) reconcile(ctx context.Context) error {
	if err := r.run(ctx, []step{{do: r.readShoot}, {do: r.observe}}); err != nil {
		return err
	}
	switch {
	case r.shoot.DeletionTimestamp != nil:
		return r.stopFluxOfDeletedShoot(ctx)
	case v1beta1helper.IsWorkerless(r.shoot):
		return fmt.Errorf("the Shoot %s has no workers, and Flux can't run without: remove extension %s from the Shoot", client.ObjectKeyFromObject(r.shoot), Type)
	case v1beta1helper.HibernationIsEnabled(r.shoot):
		r.log.Info("The shoot sleeps, and gets what has changed when it wakes up")
		return nil
	}
	if err := r.orphanPredecessorOnce(ctx); err != nil {
		return err
	}
	return r.reportResult(ctx, r.run(ctx, r.stepsToReconcile()))
}

// stepsToReconcile are the way from the project's configuration to the ManagedResources. What can go wrong until the first write is somebody's
// mistake, or that of a server that others run; after that, it is the seed's.
func (r *reconciliation) stepsToReconcile() []step {
	return []step{
		{do: r.connectToGarden},
		{metrics.PhaseProject, r.readConfiguration},
		{do: r.readResources},
		{do: r.checkNamespace},
		{metrics.PhaseInventory, r.observeShoot},
		{do: r.observePredecessor},
		{metrics.PhaseRelease, r.chooseRelease},
		{do: r.checkConfiguration},
		{metrics.PhaseSource, r.ensureCredentials},
		{do: r.renderConfiguration},
		{do: r.findFollowed},
		{do: r.checkRefused},
		{do: r.checkExisting},
		{do: r.preventPruning},
		// Before anything is noted, from which a removal would not know what the shoot still has.
		{do: r.checkBeforeReplacing},
		{metrics.PhaseInstall, r.applyInstallation},
		{do: r.noteFound},
		// Before the configuration, whose digest tells whether a floating version may move.
		{do: r.writeDesiredStatus},
		{do: r.suspendPredecessor},
		{metrics.PhaseConfigure, r.applyConfiguration},
		// gardenlet gives its gardener-resource-manager the right argument when it tries again.
		{do: r.checkResourceManager},
		{do: r.transferOwnership},
		{do: r.transferFollowed},
		{do: r.removeForeignCondition},
		{do: r.deletePredecessor},
	}
}

// readShoot reads the Shoot to which a namespace of the seed belongs.
func (r *reconciliation) readShoot(ctx context.Context) (err error) {
	if r.shoot, _, err = readShoot(ctx, r.Seed, r.extension.Namespace); err != nil {
		return err
	}
	if r.shoot == nil {
		return fmt.Errorf("the Cluster %s of the seed holds no Shoot: gardenlet has not written it yet", r.extension.Namespace)
	}
	r.log = r.log.WithValues("project", r.shoot.Namespace, "shoot", r.shoot.Name)
	return nil
}

// connectToGarden makes the client of the garden for all steps: each time it is asked for, credentials are read.
func (r *reconciliation) connectToGarden(ctx context.Context) (err error) {
	r.gardenClient, err = r.Garden.Client(ctx)
	return err
}

// connectToShoot returns a client of the shoot, the same one for all steps. It is made when one is needed, which is rare. Who looks into the shoot
// next gets the credentials that have been read for it, unless nobody is to look any more.
func (r *reconciliation) connectToShoot(ctx context.Context) (_ client.Client, err error) {
	switch {
	case r.knownShootClient != nil:
	case r.Shoots != nil && r.extension.DeletionTimestamp == nil && r.shoot != nil && r.shoot.DeletionTimestamp == nil:
		r.knownShootClient, err = r.Shoots.New(ctx, r.extension.Namespace)
	default:
		r.knownShootClient, err = shoot.NewClient(ctx, r.Seed, r.extension.Namespace)
	}
	return r.knownShootClient, err
}

// applyConfiguration makes Flux follow the project's repository.
func (r *reconciliation) applyConfiguration(ctx context.Context) error {
	if err := r.replaceRetyped(ctx); err != nil {
		return err
	}
	data, err := managedresource.Serialize(slices.Concat(r.desired.objects, r.desired.ignored))
	if err != nil {
		return err
	}
	labels := map[string]string{managedresource.ConfigurationDigestLabel: r.desired.digest, managedresource.SourceVersionLabel: ""}
	if r.desired.credentials != nil {
		labels[managedresource.SourceVersionLabel] = r.desired.credentials.Version
	}
	return mustFail(managedresource.Apply(ctx, r.Seed, r.extension.Namespace, managedresource.Configuration, labels, data, r.observed.configuration))
}

// checkResourceManager tells whether gardener-resource-manager can apply what is written.
func (r *reconciliation) checkResourceManager(ctx context.Context) error {
	return r.checkNamespacesManaged(ctx, namespacesOf(r.desired.status)...)
}

func (r *reconciliation) checkNamespacesManaged(ctx context.Context, namespaces ...string) error {
	deployment := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: r.extension.Namespace, Name: resourcemanager.DeploymentName}
	if err := r.Seed.Get(ctx, key, deployment); err != nil {
		return mustFail(fmt.Errorf("failed to read Deployment %s of the seed, which applies Flux to the shoot: %w", key, err))
	}
	return mustFail(resourcemanager.CheckNamespaces(deployment, r.GardenerVersion, client.ObjectKeyFromObject(r.shoot).String(), namespaces...))
}
