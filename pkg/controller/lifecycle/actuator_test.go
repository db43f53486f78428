// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"errors"
	"testing"

	"github.com/go-logr/logr"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/metrics"
)

func TestOperationsAreMeasured(t *testing.T) {
	broken := errors.New("broken")
	for operation, do := range operationsOf(failing(broken)) {
		t.Run(string(operation), func(t *testing.T) {
			g := NewWithT(t)
			before := failed(g)
			g.Expect(do(t.Context(), logr.Discard(), &extensionsv1alpha1.Extension{})).To(MatchError(broken))
			after := failed(g)
			before[string(operation)]++
			g.Expect(after).To(Equal(before), "once, as this operation and no other")
		})
	}
}

// failing is an actuator whose seed answers with an error.
func failing(err error) *Actuator {
	return &Actuator{Seed: fake.NewClientBuilder().WithInterceptorFuncs(interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return err
		},
		List:   func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error { return err },
		Delete: func(context.Context, client.WithWatch, client.Object, ...client.DeleteOption) error { return err },
	}).Build()}
}

func operationsOf(a *Actuator) map[metrics.Operation]func(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error {
	return map[metrics.Operation]func(context.Context, logr.Logger, *extensionsv1alpha1.Extension) error{
		metrics.OperationReconcile: a.Reconcile, metrics.OperationDelete: a.Delete, metrics.OperationForceDelete: a.ForceDelete,
		metrics.OperationMigrate: a.Migrate, metrics.OperationRestore: a.Restore,
	}
}

// failed are how many operations have failed.
func failed(g Gomega) map[string]uint64 {
	families, err := runtimemetrics.Registry.Gather()
	g.Expect(err).NotTo(HaveOccurred())
	counts := map[string]uint64{}
	for _, family := range families {
		if family.GetName() != metrics.Namespace+"_operation_duration_seconds" {
			continue
		}
		for _, metric := range family.GetMetric() {
			if metric.GetLabel()[1].GetValue() == "error" {
				counts[metric.GetLabel()[0].GetValue()] = metric.GetHistogram().GetSampleCount()
			}
		}
	}
	g.Expect(counts).To(HaveLen(5))
	return counts
}
