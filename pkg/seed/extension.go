// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package seed

import (
	"time"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
	"github.com/gardener/gardener/pkg/controllerutils"
)

// IsLeaving tells whether the shoot of an Extension has no Flux from this seed any more, or soon has it from another one: then this seed neither
// judges it nor speaks for it. It is so from when it is asked for, not only once it is done.
func IsLeaving(ex *extensionsv1alpha1.Extension) bool {
	return ex.DeletionTimestamp != nil || ex.Annotations[v1beta1constants.GardenerOperation] == v1beta1constants.GardenerOperationMigrate ||
		ex.Status.LastOperation != nil && ex.Status.LastOperation.Type == gardencorev1beta1.LastOperationTypeMigrate
}

// IsUnderWay tells whether an operation has not ended yet. One that has lasted longer than any may has been interrupted, and nobody begins it again: as
// with a Shoot that Gardener has given up.
func IsUnderWay(ex *extensionsv1alpha1.Extension) bool {
	last := ex.Status.LastOperation
	return last != nil && last.State == gardencorev1beta1.LastOperationStateProcessing && time.Since(last.LastUpdateTime.Time) < controllerutils.DefaultReconciliationTimeout
}
