// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package metrics tells Prometheus what the extension does. The metrics are served with those of controller-runtime.
//
// No label holds what users choose freely: no shoot, project, URL, message or error. Where all values of a label are known, all
// series exist from the start, so that a rate is right from the first event on.
package metrics

import (
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	runtimemetrics "sigs.k8s.io/controller-runtime/pkg/metrics"

	reconcilerutils "github.com/gardener/gardener/pkg/controllerutils/reconciler"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
)

// Namespace is what the names of all metrics of this package begin with.
const Namespace = "gardener_extension_shoot_flux"

// The results of what the extension does.
const (
	resultSuccess = "success"
	// resultWaiting means that it goes on by itself: others have to do something first, or a download is under way.
	resultWaiting = "waiting"
	resultError   = "error"
)

// Operation is what Gardener asks for.
type Operation string

// The operations on an Extension.
const (
	OperationReconcile   Operation = "reconcile"
	OperationDelete      Operation = "delete"
	OperationForceDelete Operation = "force_delete"
	OperationMigrate     Operation = "migrate"
	OperationRestore     Operation = "restore"
)

// Phase is a part of a reconciliation.
type Phase string

const (
	// PhaseProject reads what the project admin configured in the garden.
	PhaseProject Phase = "project"
	// PhaseInventory finds out what the shoot has.
	PhaseInventory Phase = "inventory"
	// PhaseRelease chooses a release of Flux, and fetches and renders its manifests.
	PhaseRelease Phase = "release"
	// PhaseSource keeps the project's credentials for its repository.
	PhaseSource Phase = "source"
	// PhaseInstall applies the installation of Flux.
	PhaseInstall Phase = "install"
	// PhaseConfigure applies what makes Flux follow the repository.
	PhaseConfigure Phase = "configure"
)

var (
	operationDuration = newDurations("operation_duration_seconds", "operation",
		"How long operations on Extensions took. What is waited for is not part of it: a result of waiting means that the operation is repeated.")
	phaseDuration = newDurations("reconciliation_phase_duration_seconds", "phase",
		"How long the phases of reconciliations took.")
)

func init() {
	for _, operation := range []Operation{OperationReconcile, OperationDelete, OperationForceDelete, OperationMigrate, OperationRestore} {
		initialise(operationDuration, string(operation))
	}
	for _, phase := range []Phase{PhaseProject, PhaseInventory, PhaseRelease, PhaseSource, PhaseInstall, PhaseConfigure} {
		initialise(phaseDuration, string(phase))
	}
	runtimemetrics.Registry.MustRegister(operationDuration, phaseDuration)
}

func newDurations(name, label, help string) *prometheus.HistogramVec {
	return prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Namespace: Namespace, Name: name, Help: help,
		Buckets: []float64{0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30},
	}, []string{label, "result"})
}

func initialise(durations *prometheus.HistogramVec, value string) {
	for _, result := range []string{resultSuccess, resultWaiting, resultError} {
		durations.WithLabelValues(value, result)
	}
}

// ObserveOperation notes that an operation has ended, as ObservePhase does.
func ObserveOperation(operation Operation, begun time.Time, err *error) {
	operationDuration.WithLabelValues(string(operation), resultOf(*err)).Observe(time.Since(begun).Seconds())
}

// ObservePhase notes that a phase has ended, with the error in err. It is meant to be deferred:
//
//	defer metrics.ObservePhase(metrics.PhaseRelease, time.Now(), &err)
func ObservePhase(phase Phase, begun time.Time, err *error) {
	phaseDuration.WithLabelValues(string(phase), resultOf(*err)).Observe(time.Since(begun).Seconds())
}

func resultOf(err error) string {
	var requeue *reconcilerutils.RequeueAfterError
	switch {
	case err == nil:
		return resultSuccess
	case errors.As(err, &requeue), errors.Is(err, release.ErrPending):
		return resultWaiting
	default:
		return resultError
	}
}

// register fails if a collector is registered twice, instead of panicking.
func register(collector prometheus.Collector) error {
	if err := runtimemetrics.Registry.Register(collector); err != nil {
		return fmt.Errorf("failed to register metrics: %w", err)
	}
	return nil
}

func newDescription(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(prometheus.BuildFQName(Namespace, "", name), help, labels, nil)
}
