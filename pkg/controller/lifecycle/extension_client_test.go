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
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// A cache that lags behind made half of the first operations conflict with themselves, and each write of one takes as long as five reads.
func TestOperationWritesTheExtensionThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		inBetween func(*GomegaWithT, client.Client, *extensionsv1alpha1.Extension)
		writes    []string
	}{
		"nobody else writes": {func(*GomegaWithT, client.Client, *extensionsv1alpha1.Extension) {}, []string{"metadata", "status", "status"}},
		"another controller has written a condition": {func(g *GomegaWithT, seed client.Client, ex *extensionsv1alpha1.Extension) {
			other := &extensionsv1alpha1.Extension{}
			g.Expect(seed.Get(t.Context(), client.ObjectKeyFromObject(ex), other)).To(Succeed())
			other.Status.Conditions = []gardencorev1beta1.Condition{{Type: "Other"}}
			g.Expect(seed.Status().Update(t.Context(), other)).To(Succeed())
		}, []string{"metadata", "status", "status"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			scheme := runtime.NewScheme()
			g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
			g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
			ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: Type, Annotations: map[string]string{
				v1beta1constants.GardenerOperation: v1beta1constants.GardenerOperationReconcile,
			}}}
			namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
			seed := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex, namespace).WithStatusSubresource(ex).Build()
			g.Expect(seed.Get(t.Context(), client.ObjectKeyFromObject(ex), ex)).To(Succeed())

			lagging := &laggingCache{cached: ex.DeepCopy()}
			extensions := &extensionClient{Client: interceptor.NewClient(seed, lagging.funcs())}
			mgr := withExtensionClient{readingManager{reader: seed}, extensions}
			reconciler := &libraryReconciler{extensions: extensions, Reconciler: extension.NewReconciler(mgr, extension.AddArgs{FinalizerSuffix: Type, Actuator: changing{
				change: func(ex *extensionsv1alpha1.Extension) { test.inBetween(g, seed, ex) },
			}})}
			_, err := reconciler.Reconcile(t.Context(), reconcile.Request{NamespacedName: client.ObjectKeyFromObject(ex)})
			g.Expect(err).NotTo(HaveOccurred())

			g.Expect(lagging.writes).To(Equal(test.writes))
			g.Expect(seed.Get(t.Context(), client.ObjectKeyFromObject(ex), ex)).To(Succeed())
			g.Expect(ex.Finalizers).To(ConsistOf(finalizer))
			g.Expect(ex.Annotations).NotTo(HaveKey(v1beta1constants.GardenerOperation))
			g.Expect(ex.Status.LastOperation.State).To(Equal(gardencorev1beta1.LastOperationStateSucceeded))
			g.Expect(extensions.lastWritten(client.ObjectKeyFromObject(ex))).To(BeNil(), "nothing is kept")
		})
	}
}

// The library removes gardenlet's annotation, and then notes that it begins. If the program ends in between, the next leader must see that there is
// something to do.
func TestTheEndOfTheProgramDoesNotDropAnOperation(t *testing.T) {
	g := NewWithT(t)
	scheme := runtime.NewScheme()
	g.Expect(extensionscontroller.AddToScheme(scheme)).To(Succeed())
	g.Expect(corev1.AddToScheme(scheme)).To(Succeed())
	ex := &extensionsv1alpha1.Extension{ObjectMeta: metav1.ObjectMeta{Namespace: "one", Name: Type, Finalizers: []string{finalizer}, Annotations: map[string]string{
		v1beta1constants.GardenerOperation: v1beta1constants.GardenerOperationReconcile,
	}}}
	ex.Status.LastOperation = operation(gardencorev1beta1.LastOperationTypeReconcile, gardencorev1beta1.LastOperationStateSucceeded)
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "one"}}
	seed := fake.NewClientBuilder().WithScheme(scheme).WithObjects(ex, namespace).WithStatusSubresource(ex).Build()
	key := client.ObjectKeyFromObject(ex)

	ctx, end := context.WithCancel(t.Context())
	extensions := &extensionClient{Client: interceptor.NewClient(seed, interceptor.Funcs{
		Patch: func(ctx context.Context, seed client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			end()
			return errors.Join(ctx.Err(), seed.Patch(ctx, object, patch, options...))
		},
		SubResourcePatch: func(ctx context.Context, seed client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			return seed.SubResource(name).Patch(ctx, object, patch, options...)
		},
	})}
	reconciler := &libraryReconciler{extensions: extensions, Reconciler: extension.NewReconciler(withExtensionClient{readingManager{reader: seed}, extensions},
		extension.AddArgs{FinalizerSuffix: Type, Actuator: changing{change: func(*extensionsv1alpha1.Extension) {}}})}
	_, err := reconciler.Reconcile(ctx, reconcile.Request{NamespacedName: key})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(seed.Get(t.Context(), key, ex)).To(Succeed())
	g.Expect(ex.Annotations).NotTo(HaveKey(v1beta1constants.GardenerOperation))
	g.Expect(ex.Status.LastOperation.State).To(Equal(gardencorev1beta1.LastOperationStateProcessing))

	ex.Annotations = map[string]string{v1beta1constants.GardenerOperation: v1beta1constants.GardenerOperationReconcile}
	g.Expect(seed.Update(t.Context(), ex)).To(Succeed())
	_, err = reconciler.Reconcile(ctx, reconcile.Request{NamespacedName: key})
	g.Expect(err).To(MatchError(context.Canceled))
	g.Expect(seed.Get(t.Context(), key, ex)).To(Succeed())
	g.Expect(ex.Annotations).To(HaveKey(v1beta1constants.GardenerOperation), "what has ended takes nothing up")
}

// laggingCache never learns of a write.
type laggingCache struct {
	cached *extensionsv1alpha1.Extension
	writes []string
}

func (l *laggingCache) funcs() interceptor.Funcs {
	return interceptor.Funcs{
		Get: func(ctx context.Context, seed client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			if ex, ok := object.(*extensionsv1alpha1.Extension); ok {
				l.cached.DeepCopyInto(ex)
				return nil
			}
			return seed.Get(ctx, key, object, options...)
		},
		Patch: func(ctx context.Context, seed client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			l.writes = append(l.writes, "metadata")
			return seed.Patch(ctx, object, patch, options...)
		},
		SubResourcePatch: func(ctx context.Context, seed client.Client, name string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			l.writes = append(l.writes, name)
			return seed.SubResource(name).Patch(ctx, object, patch, options...)
		},
	}
}

// readingManager is all of a manager that the library asks for, besides the client.
type readingManager struct {
	manager.Manager
	reader client.Reader
}

func (m readingManager) GetAPIReader() client.Reader { return m.reader }

// changing is an actuator that only lets others change an Extension.
type changing struct {
	extension.Actuator
	change func(*extensionsv1alpha1.Extension)
}

func (c changing) Reconcile(_ context.Context, _ logr.Logger, ex *extensionsv1alpha1.Extension) error {
	c.change(ex)
	return nil
}
