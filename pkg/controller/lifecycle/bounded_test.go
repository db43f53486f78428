// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
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
	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	v1beta1helper "github.com/gardener/gardener/pkg/api/core/v1beta1/helper"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// failing is an actuator that fails with an error in all that it does.
type failing struct{ err error }

func (f failing) Reconcile(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return f.err
}
func (f failing) Delete(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return f.err
}
func (f failing) ForceDelete(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return f.err
}
func (f failing) Migrate(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return f.err
}
func (f failing) Restore(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return f.err
}

// long is an error as a webhook can make it, by how often it repeats itself. What failed is at its begin, and why at its end.
func long(times int) error {
	return fmt.Errorf("failed to delete Deployment:\n%s\nthe policy forbids it", strings.Repeat("because ", times))
}

func TestErrorsAreBounded(t *testing.T) {
	for name, do := range map[string]func(extension.Actuator) error{
		"reconcile":    func(a extension.Actuator) error { return a.Reconcile(t.Context(), logr.Discard(), nil) },
		"delete":       func(a extension.Actuator) error { return a.Delete(t.Context(), logr.Discard(), nil) },
		"force-delete": func(a extension.Actuator) error { return a.ForceDelete(t.Context(), logr.Discard(), nil) },
		"migrate":      func(a extension.Actuator) error { return a.Migrate(t.Context(), logr.Discard(), nil) },
		"restore":      func(a extension.Actuator) error { return a.Restore(t.Context(), logr.Discard(), nil) },
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			g.Expect(do(boundedActuator{failing{}})).To(Succeed())
			g.Expect(do(boundedActuator{failing{errors.New("a short one")}})).To(MatchError("a short one"))

			coded := v1beta1helper.NewErrorWithCodes(long(1000), gardencorev1beta1.ErrorConfigurationProblem)
			err := do(boundedActuator{failing{coded}})
			g.Expect(err.Error()).To(And(HaveLen(readiness.MaxMessage), HavePrefix("failed to delete Deployment: because"), HaveSuffix("the policy forbids it"), Not(ContainSubstring("\n"))))
			g.Expect(v1beta1helper.ExtractErrorCodes(err)).To(ConsistOf(gardencorev1beta1.ErrorConfigurationProblem))

			err = do(boundedActuator{failing{&reconcilerutils.RequeueAfterError{RequeueAfter: time.Minute, Cause: long(100_000)}}})
			result, failed := reconcilerutils.ReconcileErr(err)
			g.Expect(failed).NotTo(HaveOccurred())
			g.Expect(result.RequeueAfter).To(Equal(time.Minute))
			g.Expect(reconcilerutils.ReconcileErrCauseOrErr(err).Error()).To(HaveLen(readiness.MaxMessage))
			g.Expect(len(err.Error())).To(BeNumerically("<", readiness.MaxMessage+100))
		})
	}
}

// TestProblemsAreBounded tells what keeps a shoot that has Flux from what is configured.
func TestProblemsAreBounded(t *testing.T) {
	for name, err := range map[string]error{"a mistake": long(1000), "under way": soon(time.Now(), long(1000))} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			ex := &extensionsv1alpha1.Extension{}
			ex.Namespace, ex.Name = "shoot--one--two", Type
			scheme := runtime.NewScheme()
			g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
			actuator := &Actuator{Seed: fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex).WithStatusSubresource(ex).Build()}
			var logged strings.Builder
			log := funcr.New(func(_, arguments string) { logged.WriteString(arguments) }, funcr.Options{})
			g.Expect(actuator.settle(t.Context(), log, ex, fluxv1alpha1.FluxState{FluxVersion: "v2.9.4"}, err)).To(Succeed())
			g.Expect(fluxv1alpha1.StatusOf(ex).Problem.Message).To(And(HaveLen(readiness.MaxMessage), HaveSuffix("the policy forbids it")))
			g.Expect(logged.Len()).To(BeNumerically("<", 2*readiness.MaxMessage))
		})
	}
}
