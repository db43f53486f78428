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
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// newUnanswered is an Extension for which gardenlet asks now, and whose last operation has succeeded a minute ago.
func newUnanswered() *extensionsv1alpha1.Extension {
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "shoot--local--one", Name: Type}}
	ask(ex, 0)
	ex.Status.LastOperation = &gardencorev1beta1.LastOperation{
		Type: gardencorev1beta1.LastOperationTypeReconcile, State: gardencorev1beta1.LastOperationStateSucceeded,
		LastUpdateTime: metav1.NewTime(time.Now().Add(-time.Minute)),
	}
	return ex
}

// ask is what gardenlet leaves of a request.
func ask(ex *extensionsv1alpha1.Extension, in time.Duration) {
	ex.Annotations = map[string]string{v1beta1constants.GardenerTimestamp: time.Now().Add(in).Format(time.RFC3339Nano)}
}

func TestIsUnanswered(t *testing.T) {
	annotated := func(key, value string) func(*extensionsv1alpha1.Extension) {
		return func(ex *extensionsv1alpha1.Extension) { ex.Annotations[key] = value }
	}
	last := func(state gardencorev1beta1.LastOperationState, ago time.Duration) func(*extensionsv1alpha1.Extension) {
		return func(ex *extensionsv1alpha1.Extension) {
			ex.Status.LastOperation.State = state
			ex.Status.LastOperation.LastUpdateTime = metav1.NewTime(time.Now().Add(-ago))
		}
	}
	for name, tc := range map[string]struct {
		change func(*extensionsv1alpha1.Extension)
		want   bool
	}{
		"the operation was dropped":                  {func(*extensionsv1alpha1.Extension) {}, true},
		"the first was dropped":                      {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation = nil }, true},
		"one after a restoration was dropped":        {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.Type = "Restore" }, true},
		"one after a failed one was dropped":         {last(gardencorev1beta1.LastOperationStateError, time.Minute), true},
		"it has begun":                               {last(gardencorev1beta1.LastOperationStateProcessing, 0), false},
		"it has succeeded":                           {last(gardencorev1beta1.LastOperationStateSucceeded, 0), false},
		"it has succeeded in the same second":        {func(ex *extensionsv1alpha1.Extension) { last("Succeeded", 0)(ex); ask(ex, time.Second/2) }, false},
		"it has failed":                              {last(gardencorev1beta1.LastOperationStateError, 0), false},
		"gardenlet still waits":                      {func(ex *extensionsv1alpha1.Extension) { ask(ex, -50*time.Second) }, true},
		"gardenlet waits no longer":                  {func(ex *extensionsv1alpha1.Extension) { last("Succeeded", time.Hour)(ex); ask(ex, -3*time.Minute) }, false},
		"somebody has written another time":          {annotated(v1beta1constants.GardenerTimestamp, "yesterday"), false},
		"gardenlet has never asked":                  {func(ex *extensionsv1alpha1.Extension) { ex.Annotations = nil }, false},
		"it is still asked for":                      {annotated(v1beta1constants.GardenerOperation, v1beta1constants.GardenerOperationReconcile), false},
		"a move waits for its state":                 {annotated(v1beta1constants.GardenerOperation, v1beta1constants.GardenerOperationWaitForState), false},
		"gardenlet is about to delete it":            {annotated(v1beta1constants.ConfirmationDeletion, "true"), false},
		"it is being deleted":                        {func(ex *extensionsv1alpha1.Extension) { ex.DeletionTimestamp = new(metav1.Now()) }, false},
		"it has moved, and gardenlet will delete it": {func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.Type = "Migrate" }, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, ex := NewWithT(t), newUnanswered()
				tc.change(ex)
				g.Expect(isUnanswered(ex)).To(Equal(tc.want))
			})
		})
	}
}

func unchanged(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot) {}

// Each operation leaves the Extension unanswered for a moment. What stays so, lifecycle is given.
func TestADroppedOperationIsBegun(t *testing.T) {
	const (
		meanwhile = droppedAfter / 2
		never     = time.Duration(-1)
	)
	for name, tc := range map[string]struct {
		before    func(*extensionsv1alpha1.Extension, *gardencorev1beta1.Shoot)
		meanwhile func(*extensionsv1alpha1.Extension)
		// begun is after how long lifecycle is given the Extension.
		begun time.Duration
	}{
		"nobody begins it":              {unchanged, func(*extensionsv1alpha1.Extension) {}, droppedAfter},
		"it ends meanwhile":             {unchanged, func(ex *extensionsv1alpha1.Extension) { ex.Status.LastOperation.LastUpdateTime = metav1.Now() }, never},
		"gardenlet asks anew meanwhile": {unchanged, func(ex *extensionsv1alpha1.Extension) { ask(ex, 0) }, meanwhile + droppedAfter},
		"gardenlet's clock is ahead": {func(ex *extensionsv1alpha1.Extension, _ *gardencorev1beta1.Shoot) { ask(ex, time.Minute) },
			func(*extensionsv1alpha1.Extension) {}, time.Minute},
		"the Shoot is ignored, but not by gardenlet": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Annotations = map[string]string{v1beta1constants.ShootIgnore: "true"}
		}, func(*extensionsv1alpha1.Extension) {}, droppedAfter},
		"the Shoot has been given up": {func(_ *extensionsv1alpha1.Extension, shoot *gardencorev1beta1.Shoot) {
			shoot.Status.LastOperation = &gardencorev1beta1.LastOperation{State: gardencorev1beta1.LastOperationStateFailed}
		}, func(*extensionsv1alpha1.Extension) {}, never},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, begun := NewWithT(t), time.Now()
				ex, shoot := newUnanswered(), &gardencorev1beta1.Shoot{TypeMeta: metav1.TypeMeta{APIVersion: "core.gardener.cloud/v1beta1", Kind: "Shoot"}}
				tc.before(ex, shoot)
				cluster := &extensionsv1alpha1.Cluster{ObjectMeta: metav1.ObjectMeta{Name: ex.Namespace}}
				cluster.Spec.Shoot.Object = shoot
				seed := newSeed(t, ex, cluster)
				r := &retrier{seed: seed, pauses: &pauses{}, missed: newMissedChanges(), requests: make(chan event.GenericEvent, 1)}
				handedOver := never
				for handedOver == never && time.Since(begun) < gardenletTimeout {
					if time.Since(begun) == meanwhile {
						tc.meanwhile(ex)
						g.Expect(seed.Update(t.Context(), ex)).To(Succeed())
					}
					_, err := r.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)})
					g.Expect(err).NotTo(HaveOccurred())
					select {
					case <-r.requests:
						handedOver = time.Since(begun)
					case <-time.After(time.Second):
					}
				}
				g.Expect(handedOver).To(Equal(tc.begun))
			})
		})
	}
}
