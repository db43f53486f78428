// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"testing"
	"time"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
)

// What is under way is told, and goes on: in a shoot of which nothing is noted, too. (Its objects may have to be stored anew before anything
// of the extension comes.)
func TestWhatIsUnderWayGoesOn(t *testing.T) {
	for name, test := range map[string]struct {
		version string
		fails   bool
	}{
		"in a shoot that has Flux":             {version: "v2.9.4"},
		"in a shoot of which nothing is noted": {fails: true},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = "shoot--p--one", Type
			a := &Actuator{Seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex).WithStatusSubresource(ex).Build()}
			r := &reconciliation{Actuator: a, log: logr.Discard(), extension: ex, observed: observed{state: fluxv1alpha1.FluxState{FluxVersion: test.version}}}
			err := r.reportResult(t.Context(), requeueSoon(time.Now(), errors.New("734 of 1200")))
			if !test.fails {
				g.Expect(err).NotTo(HaveOccurred())
				g.Expect(fluxv1alpha1.StatusOf(ex).Problem).To(HaveValue(And(HaveField("Reason", fluxv1alpha1.UnderWay), HaveField("Message", "734 of 1200"))))
				return
			}
			again, failed := reconcilerutils.ReconcileErr(bounded(err))
			g.Expect(failed).NotTo(HaveOccurred(), "it is not an error that is tried again later and later")
			g.Expect(again.RequeueAfter).To(Equal(checkInterval))
		})
	}
}
