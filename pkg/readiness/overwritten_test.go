// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package readiness

import (
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
)

func TestTwoOwners(t *testing.T) {
	for version, twoOwners := range map[string]bool{"v0.18.3": true, "v0.20.1": true, "v0.21.0": false, "v0.29.5": false, "v2.0.1": false, "v2.9.4": false, "": false} {
		for id, held := range map[string]bool{
			"flux-system_flux-system_source.toolkit.fluxcd.io_GitRepository":       true,
			"flux-system_flux-system_kustomize.toolkit.fluxcd.io_Kustomization":    true,
			"flux-system_apps_kustomize.toolkit.fluxcd.io_Kustomization":           false,
			"flux-system_flux-system_source.toolkit.fluxcd.io_OCIRepository":       false,
			"flux-system_flux-system-other_source.toolkit.fluxcd.io_GitRepository": false,
		} {
			t.Run(version+" "+id, func(t *testing.T) {
				g := NewWithT(t)
				o := state{}.observe()
				o.FluxStatus.Version = version
				o.Kustomization.Spec.Path = "./clusters/" + strings.Repeat("x", 1<<20)
				o.Kustomization.Status.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "default_shop__ConfigMap"}, {ID: id}}}
				told := Assess(o)
				if !twoOwners || !held {
					g.Expect(told.Reason).To(Equal(NotObserved))
					return
				}
				g.Expect(told).To(And(HaveField("Status", gardencorev1beta1.ConditionFalse), HaveField("Reason", TwoOwners), HaveField("Message", And(
					HavePrefix("the repository holds Flux's own objects of the name flux-system too, and Flux "+version+" writes them in turn with the extension: "+
						"remove the directory that flux bootstrap has made from the repository (clusters/xxx"),
					HaveSuffix("x/flux-system/gotk-sync.yaml), or set fluxVersion in ConfigMap garden-shop/flux-config of the garden to v0.21.0 or newer, which leaves them alone"),
				))))
				g.Expect(len(told.Message)).To(BeNumerically("<", 1<<10))
			})
		}
	}
}
