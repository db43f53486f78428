// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"fmt"
	"path"
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// assessOwners tells that Flux writes the extension's objects from the repository, in turn with gardener-resource-manager. Only old releases
// do. What the repository holds is in the inventory, as namespace_name_group_kind.
func assessOwners(o Observation) *Readiness {
	if o.OwnedByUsers || o.Kustomization.Status.Inventory == nil || render.HeedsProtection(o.FluxStatus.Version) {
		return nil
	}
	for _, id := range o.OwnInventory() {
		if slices.ContainsFunc(o.Kustomization.Status.Inventory.Entries, func(entry kustomizev1.ResourceRef) bool { return entry.ID == id }) {
			return &Readiness{
				Status: gardencorev1beta1.ConditionFalse,
				Reason: TwoOwners,
				Message: fmt.Sprintf("the %s holds Flux's own objects of the name %s too, and Flux %s writes them in turn with the extension: remove the directory "+
					"that flux bootstrap has made from the %s (%s), or set %s to v0.21.0 or newer, which leaves them alone",
					o.SourceKind.Content, nameOf(o.SourceKey), o.FluxStatus.Version, o.SourceKind.Content, path.Join(o.Kustomization.Spec.Path, "flux-system", "gotk-sync.yaml"), o.where("version")),
			}
		}
	}
	return nil
}

// OwnInventory are what the extension's own objects are called in the inventory of a Kustomization that deploys them.
func (o Observation) OwnInventory() []string {
	return []string{o.SourceKind.InventoryID(o.SourceKey.Namespace, o.SourceKey.Name), flux.Kustomization.InventoryID(o.KustomizationKey.Namespace, o.KustomizationKey.Name)}
}
