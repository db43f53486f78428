// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package lifecycle reconciles Extensions of type shoot-flux: from what the project admin configured in the garden to the
// ManagedResources that bring Flux into the shoot.
package lifecycle

import (
	"context"
	"sync"
	"time"

	"github.com/go-logr/logr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/garden"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// Actuator does the work of the controller. What it does for one shoot is a reconciliation; here is what all shoots share. All exported
// fields but Shoots and SettlingTime are required.
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
	// Defaults are those of the landscape, or nil.
	Defaults *project.Defaults
	// Sources keeps the credentials of projects in the garden.
	Sources *sourcesecret.Keeper
	// GardenerVersion counts where the image of a gardener-resource-manager tells no version; it may be empty.
	GardenerVersion string
	// GardenIdentity is the cluster identity of the garden. It may be empty.
	GardenIdentity string
	// SettlingTime is that of migration.Prepare. The default is migration.SettlingTime.
	SettlingTime time.Duration

	rendered renderedReleases
	// read has the references of all ManagedResources that have been looked into.
	read     *managedresource.References
	readOnce sync.Once
}

var _ extension.Actuator = (*Actuator)(nil)

// Reconcile brings Flux and the project's repository into the shoot. It does not wait for the shoot.
func (a *Actuator) Reconcile(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.operate(ctx, log, ex, metrics.OperationReconcile, (*reconciliation).reconcile)
}

// Restore continues on the seed that has taken over.
func (a *Actuator) Restore(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.operate(ctx, log, ex, metrics.OperationRestore, (*reconciliation).reconcile)
}

// Delete does what was chosen for a shoot in which the extension is switched off. It returns an error that says what it waits
// for until all is done, and can be interrupted anywhere.
func (a *Actuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.operate(ctx, log, ex, metrics.OperationDelete, (*reconciliation).delete)
}

// ForceDelete forgets the shoot without waiting for anything.
func (a *Actuator) ForceDelete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.operate(ctx, log, ex, metrics.OperationForceDelete, (*reconciliation).orphanAll)
}

// Migrate leaves everything in the shoot as it is for the seed that takes over.
func (a *Actuator) Migrate(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) error {
	return a.operate(ctx, log, ex, metrics.OperationMigrate, (*reconciliation).migrate)
}

func (a *Actuator) operate(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension, operation metrics.Operation,
	do func(*reconciliation, context.Context) error) (err error) {
	defer metrics.ObserveOperation(operation, time.Now(), &err)
	return bounded(do(&reconciliation{Actuator: a, log: log, extension: ex}, ctx))
}

// references returns what the ManagedResources of shoots hold.
func (a *Actuator) references() *managedresource.References {
	a.readOnce.Do(func() { a.read = managedresource.NewReferences() })
	return a.read
}
