// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"testing"
	"testing/synctest"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// newUnanswered is an Extension whose last operation has succeeded at 13:00:00, and for which gardenlet has asked after that.
func newUnanswered() *extensionsv1alpha1.Extension {
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: Type}}
	ex.Annotations = map[string]string{v1beta1constants.GardenerTimestamp: "2026-03-04T13:00:01.5Z"}
	ex.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateSucceeded,
		LastUpdateTime: metav1.NewTime(time.Date(2026, 3, 4, 13, 0, 0, 0, time.UTC)),
	}
	return ex
}

func TestIsUnanswered(t *testing.T) {
	asked := func(value string) func(*extensionsv1alpha1.Extension) {
		return func(ex *extensionsv1alpha1.Extension) { ex.Annotations[v1beta1constants.GardenerTimestamp] = value }
	}
	operation := func(value string) func(*extensionsv1alpha1.Extension) {
		return func(ex *extensionsv1alpha1.Extension) { ex.Annotations[v1beta1constants.GardenerOperation] = value }
	}
	state := func(state gardencorev1beta1.LastOperationState) func(*extensionsv1alpha1.Extension) {
		return func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.State = state }
	}
	for name, tc := range map[string]struct {
		change func(*extensionsv1alpha1.Extension)
		want   bool
	}{
		"the operation was dropped":                   {func(*extensionsv1alpha1.Extension) {}, true},
		"the first after a restoration was dropped":   {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.Type = "Restore" }, true},
		"it has been done in the second of its":       {asked("2026-03-04T13:00:00.9Z"), false},
		"it has been done long since":                 {asked("2026-03-03T13:00:00Z"), false},
		"somebody has written another time":           {asked("yesterday"), false},
		"gardenlet has never asked":                   {func(ex *extensionsv1alpha1.Extension) { ex.Annotations = nil }, false},
		"it is still to be seen":                      {operation(v1beta1constants.GardenerOperationReconcile), false},
		"gardenlet waits for the state of a move":     {operation(v1beta1constants.GardenerOperationWaitForState), false},
		"it has begun":                                {state(gardencorev1beta1.LastOperationStateProcessing), false},
		"it failed, and is tried again":               {state(gardencorev1beta1.LastOperationStateError), false},
		"the first is begun at each start":            {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation = nil }, false},
		"the Extension is being deleted":              {func(ex *extensionsv1alpha1.Extension) { ex.DeletionTimestamp = new(metav1.Now()) }, false},
		"the Extension has moved, and is about to go": {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.Type = "Migrate" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			ex := newUnanswered()
			tc.change(ex)
			NewWithT(t).Expect(isUnanswered(ex)).To(Equal(tc.want))
		})
	}
}

// Each operation leaves the Extension unanswered for a moment.
func TestAnOperationIsTakenForDroppedOnlyAfterAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, begun := NewWithT(t), time.Now()
		ex, dropped := newUnanswered(), &droppedOperations{}
		g.Expect(dropped.note(ex)).To(Equal(begun.Add(droppedAfter)))
		<-time.After(time.Second)
		g.Expect(dropped.note(ex)).To(Equal(begun.Add(droppedAfter)), "the time goes on")

		ex.Annotations[v1beta1constants.GardenerTimestamp] = "2026-03-04T13:00:07Z"
		g.Expect(dropped.note(ex)).To(Equal(begun.Add(time.Second+droppedAfter)), "gardenlet has asked anew")
		<-time.After(time.Second)
		dropped.forget(client.ObjectKeyFromObject(ex))
		g.Expect(dropped.note(ex)).To(Equal(begun.Add(2*time.Second+droppedAfter)), "it was answered meanwhile")
	})
}
