// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// droppedAfter is how long an Extension has to stay unanswered until its operation is taken for dropped. Each operation leaves it so for the moment
// between two writes.
const droppedAfter = 10 * time.Second

// isUnanswered tells whether gardenlet waits for an operation that is neither to be seen any more nor begun: Gardener's library takes gardenlet's
// annotation off (OperationAnnotationWrapper in pkg/controllerutils/reconciler), and only then notes that it begins. Whoever ends between these drops
// the operation, and gardenlet, which waits for a last operation that is no older than its request (CheckExtensionObject in
// pkg/utils/kubernetes/health/extensions.go of Gardener), asks again after minutes.
func isUnanswered(ex *extensionsv1alpha1.Extension) bool {
	_, operation := ex.Annotations[v1beta1constants.GardenerOperation]
	last := ex.Status.LastOperation
	if operation || ex.DeletionTimestamp != nil || last == nil || last.State != gardencorev1beta1.LastOperationStateSucceeded || extensionscontroller.IsMigrated(ex) {
		return false
	}
	asked, err := time.Parse(time.RFC3339Nano, ex.Annotations[v1beta1constants.GardenerTimestamp])
	return err == nil && asked.Truncate(time.Second).After(last.LastUpdateTime.Time)
}

// droppedOperations knows since when Extensions are unanswered. After a restart, it begins anew. It is safe for concurrent use.
type droppedOperations struct {
	// unanswered has an unanswered by the client.ObjectKey of an Extension.
	unanswered sync.Map
}

type unanswered struct {
	// asked is gardenlet's timestamp.
	asked string
	since time.Time
}

// note notes an Extension that is unanswered, and returns when its operation is taken for dropped.
func (d *droppedOperations) note(ex *extensionsv1alpha1.Extension) time.Time {
	key, now := client.ObjectKeyFromObject(ex), unanswered{ex.Annotations[v1beta1constants.GardenerTimestamp], time.Now()}
	noted, _ := d.unanswered.LoadOrStore(key, now)
	first, ok := noted.(unanswered)
	if !ok || first.asked != now.asked {
		first = now
		d.unanswered.Store(key, first)
	}
	return first.since.Add(droppedAfter)
}

// forget is for an Extension that is answered, or gone.
func (d *droppedOperations) forget(ex client.ObjectKey) { d.unanswered.Delete(ex) }
