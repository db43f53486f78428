// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// failing is an actuator that fails with an error in all that it does.
func long(times int) error {
	return fmt.Errorf("failed to delete Deployment:\n%s\nthe policy forbids it", strings.Repeat("because ", times))
}

func TestErrorsAreBounded(t *testing.T) {
	coded := v1beta1helper.NewErrorWithCodes(long(1000), gardencorev1beta1.ErrorConfigurationProblem)
	for operation, do := range operationsOf(failing(coded)) {
		t.Run(string(operation), func(t *testing.T) {
			g := NewWithT(t)
			err := do(t.Context(), logr.Discard(), &extensionsv1alpha1.Extension{})
			g.Expect(err.Error()).To(And(HaveLen(readiness.MaxMessage), ContainSubstring("failed to delete Deployment: because"), HaveSuffix("the policy forbids it"), Not(ContainSubstring("\n"))))
			g.Expect(v1beta1helper.ExtractErrorCodes(err)).To(ConsistOf(gardencorev1beta1.ErrorConfigurationProblem))
		})
	}
}

// Gardener's library asks for the type of an error.
func TestErrorsThatRequeueStayThat(t *testing.T) {
	g := NewWithT(t)
	g.Expect(bounded(nil)).To(Succeed())
	g.Expect(bounded(errors.New("a short one"))).To(MatchError("a short one"))
	err := bounded(&reconcilerutils.RequeueAfterError{RequeueAfter: time.Minute, Cause: long(100_000)})
	result, failed := reconcilerutils.ReconcileErr(err)
	g.Expect(failed).NotTo(HaveOccurred())
	g.Expect(result.RequeueAfter).To(Equal(time.Minute))
	g.Expect(reconcilerutils.ReconcileErrCauseOrErr(err).Error()).To(HaveLen(readiness.MaxMessage))
	g.Expect(len(err.Error())).To(BeNumerically("<", readiness.MaxMessage+100))
}

func TestProblemsAreBounded(t *testing.T) {
	for name, err := range map[string]error{"a mistake": long(1000), "under way": requeueSoon(time.Now(), long(1000))} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = "shoot--one--two", Type
			scheme := runtime.NewScheme()
			g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
			a := &Actuator{Seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex).WithStatusSubresource(ex).Build()}
			var logged strings.Builder
			log := funcr.New(func(_, arguments string) { logged.WriteString(arguments) }, funcr.Options{})
			r := &reconciliation{Actuator: a, log: log, extension: ex, observed: observed{state: fluxv1alpha1.FluxState{FluxVersion: "v2.9.4"}}}
			g.Expect(r.reportResult(t.Context(), err)).To(Succeed())
			g.Expect(fluxv1alpha1.StatusOf(ex).Problem.Message).To(And(HaveLen(readiness.MaxMessage), HaveSuffix("the policy forbids it")))
			g.Expect(logged.Len()).To(BeNumerically("<", 2*readiness.MaxMessage))
		})
	}
}
