// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package metrics

import (
	"context"
	"time"

	"github.com/go-logr/logr"

	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const (
	operationReconcile   = "reconcile"
	operationDelete      = "delete"
	operationForceDelete = "force_delete"
	operationMigrate     = "migrate"
	operationRestore     = "restore"
)

var operations = []string{operationReconcile, operationDelete, operationForceDelete, operationMigrate, operationRestore}

// Actuator returns an actuator that does what the given one does, and measures it.
func Actuator(actuator extension.Actuator) extension.Actuator {
	return &measuredActuator{actuator: actuator}
}

type measuredActuator struct {
	actuator extension.Actuator
}

// Reconcile implements extension.Actuator.
func (a *measuredActuator) Reconcile(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer observeOperation(operationReconcile, time.Now(), &err)
	return a.actuator.Reconcile(ctx, log, ex)
}

// Delete implements extension.Actuator.
func (a *measuredActuator) Delete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer observeOperation(operationDelete, time.Now(), &err)
	return a.actuator.Delete(ctx, log, ex)
}

// ForceDelete implements extension.Actuator.
func (a *measuredActuator) ForceDelete(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer observeOperation(operationForceDelete, time.Now(), &err)
	return a.actuator.ForceDelete(ctx, log, ex)
}

// Migrate implements extension.Actuator.
func (a *measuredActuator) Migrate(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer observeOperation(operationMigrate, time.Now(), &err)
	return a.actuator.Migrate(ctx, log, ex)
}

// Restore implements extension.Actuator.
func (a *measuredActuator) Restore(ctx context.Context, log logr.Logger, ex *extensionsv1alpha1.Extension) (err error) {
	defer observeOperation(operationRestore, time.Now(), &err)
	return a.actuator.Restore(ctx, log, ex)
}

func observeOperation(operation string, begun time.Time, err *error) {
	operationDuration.WithLabelValues(operation, resultOf(*err)).Observe(time.Since(begun).Seconds())
}
