// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/extensions"
	gardenerutils "github.com/gardener/gardener/pkg/utils/gardener"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
)

const (
	// pauseCheckInterval is how soon the controller looks again whether a shoot is still to be left alone. It looks into its cache.
	pauseCheckInterval = time.Minute
	// unknownCheckInterval is the same as long as the garden has not been asked.
	unknownCheckInterval = 500 * time.Millisecond
)

// pauses knows which shoots are to be left alone: those with the annotation shoot.gardener.cloud/ignore, and all of a seed whose
// reconciliations an operator has stopped. gardenlet leaves them alone too.
type pauses struct {
	// stop may be nil. Then only what gardenlet last told the seed counts.
	stop *garden.EmergencyStop
}

// of returns why a shoot is to be left alone and how soon to look again, or "". seed may be nil.
func (p *pauses) of(ctx context.Context, shoot *gardencorev1beta1.Shoot, seed *gardencorev1beta1.Seed) (string, time.Duration) {
	if gardenerutils.ShouldIgnoreShoot(true, shoot) {
		return "the Shoot has the annotation " + v1beta1constants.ShootIgnore, pauseCheckInterval
	}
	const stopped = "an operator has stopped the reconciliations of all shoots of the seed"
	if p.stop == nil || seed == nil {
		if v1beta1helper.HasShootReconciliationsDisabledAnnotation(seed) {
			return stopped, pauseCheckInterval
		}
		return "", 0
	}
	switch stop, known := p.stop.Holds(ctx, seed.Name); {
	case !known:
		return "it is being asked whether an operator has stopped the reconciliations of all shoots of the seed", unknownCheckInterval
	case stop:
		return stopped, pauseCheckInterval
	}
	return "", 0
}

// pausable keeps the controller from repeating by itself what gardenlet does not ask for, while a shoot is to be left alone: then
// nothing is written, not even a status. It continues afterwards. Whether gardenlet itself heeds the annotation of a Shoot is its
// operator's choice (respectSyncPeriodOverwrite, by default it does not), so that what it asks for is done in any case.
type pausable struct {
	reconcile.Reconciler
	// seed caches.
	seed   client.Reader
	pauses *pauses
}

// Reconcile implements reconcile.Reconciler.
func (p *pausable) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	ex := &extensionsv1alpha1.Extension{}
	if err := p.seed.Get(ctx, request.NamespacedName, ex); err != nil {
		return reconcile.Result{}, client.IgnoreNotFound(err)
	}
	if isAskedFor(ex) {
		return p.Reconciler.Reconcile(ctx, request)
	}
	shoot, seed, err := readCluster(ctx, p.seed, request.Namespace)
	if err != nil || shoot == nil || deletionHasBegun(shoot) { // without a Shoot, the library says what is wrong
		return p.Reconciler.Reconcile(ctx, request)
	}
	if why, again := p.pauses.of(ctx, shoot, seed); why != "" {
		log.FromContext(ctx).V(1).Info("The shoot is left alone", "why", why)
		return reconcile.Result{RequeueAfter: again}, nil
	}
	return p.Reconciler.Reconcile(ctx, request)
}

// isAskedFor tells whether gardenlet has asked for an Extension to be worked on. It asks for a deletion by nothing but the deletion
// (DeleteExtensionObject in pkg/extensions/customresources.go of Gardener), and waits for it. It also waits for an operation that was dropped.
func isAskedFor(ex *extensionsv1alpha1.Extension) bool {
	_, operation := ex.Annotations[v1beta1constants.GardenerOperation]
	return operation || ex.DeletionTimestamp != nil || isUnanswered(ex)
}

// deletionHasBegun tells whether gardenlet is deleting a Shoot. One that leaves the Shoot alone tells the seed of its deletion, too, but
// not that it has begun with it (prepareOperation in pkg/gardenlet/controller/shoot/shoot/reconciler.go of Gardener).
func deletionHasBegun(shoot *gardencorev1beta1.Shoot) bool {
	last := shoot.Status.LastOperation
	return shoot.DeletionTimestamp != nil && last != nil && last.Type == gardencorev1beta1.LastOperationTypeDelete
}

// readCluster returns Shoot and Seed of a Cluster, which may be nil.
func readCluster(ctx context.Context, reader client.Reader, name string) (*gardencorev1beta1.Shoot, *gardencorev1beta1.Seed, error) {
	shoot, cluster, err := readShoot(ctx, reader, name)
	if err != nil {
		return nil, nil, err
	}
	seed, err := extensions.SeedFromCluster(cluster)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read the Seed in Cluster %s of the seed: %w", name, err)
	}
	return shoot, seed, nil
}

// readShoot returns the Shoot of a Cluster, which may be nil. Its CloudProfile is large, and not needed.
func readShoot(ctx context.Context, reader client.Reader, name string) (*gardencorev1beta1.Shoot, *extensionsv1alpha1.Cluster, error) {
	cluster := &extensionsv1alpha1.Cluster{}
	if err := reader.Get(ctx, client.ObjectKey{Name: name}, cluster); err != nil {
		return nil, nil, fmt.Errorf("failed to read Cluster %s of the seed: %w", name, err)
	}
	shoot, err := extensions.ShootFromCluster(cluster)
	if err != nil {
		return nil, nil, fmt.Errorf("failed to read the Shoot in Cluster %s of the seed: %w", name, err)
	}
	return shoot, cluster, nil
}
