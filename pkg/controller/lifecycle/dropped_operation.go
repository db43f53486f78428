// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"sync"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

const (
	// droppedAfter is how long an Extension has to stay unanswered until its operation is taken for dropped. Each operation leaves it so for the moment
	// between two writes.
	droppedAfter = 10 * time.Second
	// gardenletTimeout is how long gardenlet waits for an Extension: reconcileTimeout of the registration (hack/registration.yaml). Then it asks again, or
	// has a reason not to.
	gardenletTimeout = 3 * time.Minute
)

// isUnanswered tells whether gardenlet waits for an operation that nothing asks for any more, and that has not been begun: Gardener's library takes
// gardenlet's annotation off (OperationAnnotationWrapper in pkg/controllerutils/reconciler), and only then notes that it begins. Who is killed between these
// drops the operation. gardenlet waits for a last operation that is not older than its request (CheckExtensionObject in
// pkg/utils/kubernetes/health/extensions.go of Gardener).
func isUnanswered(ex *extensionsv1alpha1.Extension) bool {
	_, operation := ex.Annotations[v1beta1constants.GardenerOperation]
	_, confirmed := ex.Annotations[v1beta1constants.ConfirmationDeletion] // the time may be that of the confirmation
	if operation || confirmed || ex.DeletionTimestamp != nil || extensionscontroller.IsMigrated(ex) {
		return false
	}
	asked, ok := timestamp(ex)
	last := ex.Status.LastOperation
	return ok && time.Since(asked) < gardenletTimeout && (last == nil || asked.After(last.LastUpdateTime.Time))
}

// timestamp is when gardenlet asked for an operation, in the whole seconds that it compares.
func timestamp(ex *extensionsv1alpha1.Extension) (time.Time, bool) {
	asked, err := time.Parse(time.RFC3339Nano, ex.Annotations[v1beta1constants.GardenerTimestamp])
	return asked.Truncate(time.Second), err == nil
}

// droppedOperations knows since when Extensions are unanswered. It may forget that: then it takes ten seconds more. It is safe for concurrent use.
type droppedOperations struct {
	// unanswered has an unanswered by the client.ObjectKey of an Extension.
	unanswered sync.Map
}

type unanswered struct {
	// asked is gardenlet's timestamp.
	asked string
	since time.Time
}

// note notes an Extension that is unanswered, and returns when its operation is taken for dropped. That is not before gardenlet has asked for it, by the
// clock of this program: what ends before is unanswered still.
func (d *droppedOperations) note(ex *extensionsv1alpha1.Extension) time.Time {
	key, now := client.ObjectKeyFromObject(ex), unanswered{ex.Annotations[v1beta1constants.GardenerTimestamp], time.Now()}
	noted, _ := d.unanswered.LoadOrStore(key, now)
	first, ok := noted.(unanswered)
	if !ok || first.asked != now.asked {
		first = now
		d.unanswered.Store(key, first)
	}
	dropped := first.since.Add(droppedAfter)
	if asked, ok := timestamp(ex); ok && asked.After(dropped) {
		return asked
	}
	return dropped
}

// forget is for an Extension that is answered, or gone.
func (d *droppedOperations) forget(ex client.ObjectKey) { d.unanswered.Delete(ex) }
