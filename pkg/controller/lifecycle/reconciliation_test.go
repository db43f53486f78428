// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"testing"

	. "github.com/onsi/gomega"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
)

func TestStepsEndAtTheFirstError(t *testing.T) {
	g := NewWithT(t)
	var done []string
	do := func(name string, err error) func(context.Context) error {
		return func(context.Context) error {
			done = append(done, name)
			return err
		}
	}
	broken := errors.New("broken")
	before := phases(g)
	g.Expect((&reconciliation{}).run(t.Context(), []step{
		{metrics.PhaseProject, do("project", nil)}, {do: do("between", nil)}, {metrics.PhaseInventory, do("inventory", broken)}, {metrics.PhaseRelease, do("release", nil)},
	})).To(MatchError(broken))
	g.Expect(done).To(Equal([]string{"project", "between", "inventory"}))
	before[metrics.PhaseProject+" success"]++
	before[metrics.PhaseInventory+" error"]++
	g.Expect(phases(g)).To(Equal(before), "steps are measured that are a phase, and have been done")
}

func TestAllPhasesAreMeasured(t *testing.T) {
	g := NewWithT(t)
	var measured []metrics.Phase
	for _, step := range (&reconciliation{}).stepsToReconcile() {
		if step.phase != "" {
			measured = append(measured, step.phase)
		}
	}
	g.Expect(measured).To(HaveExactElements(metrics.PhaseProject, metrics.PhaseInventory, metrics.PhaseRelease, metrics.PhaseSource, metrics.PhaseInstall, metrics.PhaseConfigure))
	g.Expect(phases(g)).To(HaveLen(3*len(measured)), "with three results each")
}

// phases are how many phases have ended, by phase and result.
func phases(g Gomega) map[metrics.Phase]uint64 {
	families, err := runtimemetrics.Registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	counts := map[metrics.Phase]uint64{}
	for _, family := range families {
		if family.GetName() != metrics.Namespace+"_reconciliation_phase_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			counts[metrics.Phase(metric.GetLabel()[0].GetValue()+" "+metric.GetLabel()[1].GetValue())] = metric.GetHistogram().GetSampleCount()
		}
	}
	return counts
}
