// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/resourceversion"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	extensionscontroller "github.com/gardener/gardener/extensions/pkg/controller"
	"github.com/gardener/gardener/extensions/pkg/controller/extension"
	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// finalizer is that of Gardener's library (NewReconciler in extensions/pkg/controller/extension/reconciler.go of Gardener).
const finalizer = extension.FinalizerPrefix + "/" + Type

// beginTimeout bounds the writes with which an operation begins.
const beginTimeout = 10 * time.Second

// extensionClient is the client of Gardener's library. It reads Extensions from a cache, but none that is older than what it has written itself:
// the library reads an Extension again right after it has written it. And it does not let the end of the program come between the two writes with
// which the library begins an operation: the first takes away what asks for it, and the second notes that it is under way.
type extensionClient struct {
	client.Client

	// written has by client.ObjectKey the *Extension as the seed had it after the last write.
	written sync.Map
}

// withExtensionClient is a manager with that client.
type withExtensionClient struct {
	manager.Manager
	client *extensionClient
}

// GetClient implements cluster.Cluster.
func (m withExtensionClient) GetClient() client.Client { return m.client }

// Get implements client.Client.
func (c *extensionClient) Get(ctx context.Context, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
	if err := c.Client.Get(ctx, key, object, options...); err != nil {
		return err
	}
	if ex, ok := object.(*extensionsv1alpha1.Extension); ok {
		if written := c.lastWritten(key); written != nil && isNewer(written, ex) {
			written.DeepCopyInto(ex)
		}
	}
	return nil
}

// Patch implements client.Client.
func (c *extensionClient) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.PatchOption) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	ctx, cancel := withoutCancel(ctx)
	defer cancel()
	err := c.Client.Patch(ctx, object, patch, options...)
	c.note(object, err)
	return err
}

// Status implements client.Client.
func (c *extensionClient) Status() client.SubResourceWriter {
	return &extensionStatusWriter{SubResourceWriter: c.Client.Status(), client: c}
}

type extensionStatusWriter struct {
	client.SubResourceWriter
	client *extensionClient
}

// Patch implements client.SubResourceWriter.
func (w *extensionStatusWriter) Patch(ctx context.Context, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
	if isBeginning(object) {
		var cancel context.CancelFunc
		ctx, cancel = withoutCancel(ctx)
		defer cancel()
	}
	err := w.SubResourceWriter.Patch(ctx, object, patch, options...)
	w.client.note(object, err)
	return err
}

func withoutCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), beginTimeout)
}

// isBeginning tells whether a status is to say that an operation is under way.
func isBeginning(object client.Object) bool {
	ex, ok := object.(*extensionsv1alpha1.Extension)
	return ok && ex.Status.LastOperation != nil && ex.Status.LastOperation.State == gardencorev1beta1.LastOperationStateProcessing
}

func (c *extensionClient) lastWritten(key client.ObjectKey) *extensionsv1alpha1.Extension {
	written, _ := c.written.Load(key)
	ex, _ := written.(*extensionsv1alpha1.Extension)
	return ex
}

func (c *extensionClient) note(object client.Object, err error) {
	ex, ok := object.(*extensionsv1alpha1.Extension)
	switch {
	case !ok:
	case err != nil:
		c.forget(client.ObjectKeyFromObject(ex))
	default:
		c.written.Store(client.ObjectKeyFromObject(ex), ex.DeepCopy())
	}
}

// forget is called when an operation has ended.
func (c *extensionClient) forget(key client.ObjectKey) { c.written.Delete(key) }

func isNewer(one, other *extensionsv1alpha1.Extension) bool {
	order, err := resourceversion.CompareResourceVersion(one.ResourceVersion, other.ResourceVersion)
	return err == nil && order > 0 && one.UID == other.UID
}

// begin writes at once what the library writes one after the other before the first operation: that it has been asked, and the finalizer. What is
// there then, the library does not write again.
func (c *extensionClient) begin(ctx context.Context, key types.NamespacedName) error {
	ex := &extensionsv1alpha1.Extension{}
	if err := c.Get(ctx, key, ex); err != nil {
		return client.IgnoreNotFound(err)
	}
	if ex.Annotations[v1beta1constants.GardenerOperation] != v1beta1constants.GardenerOperationReconcile || ex.DeletionTimestamp != nil ||
		controllerutil.ContainsFinalizer(ex, finalizer) || extensionscontroller.IsMigrated(ex) {
		return nil
	}
	patch := client.MergeFromWithOptions(ex.DeepCopy(), client.MergeFromWithOptimisticLock{})
	delete(ex.Annotations, v1beta1constants.GardenerOperation)
	controllerutil.AddFinalizer(ex, finalizer)
	return client.IgnoreNotFound(c.Patch(ctx, ex, patch))
}

// libraryReconciler is the reconciler of Gardener's library, with that client.
type libraryReconciler struct {
	reconcile.Reconciler
	extensions *extensionClient
}

// Reconcile implements reconcile.Reconciler.
func (r *libraryReconciler) Reconcile(ctx context.Context, request reconcile.Request) (reconcile.Result, error) {
	defer r.extensions.forget(request.NamespacedName)
	if err := r.extensions.begin(ctx, request.NamespacedName); apierrors.IsConflict(err) {
		// The cache learns in a moment of what an operation before has written.
		return reconcile.Result{RequeueAfter: firstRetryDelay}, nil
	} else if err != nil {
		return reconcile.Result{}, fmt.Errorf("failed to take over Extension %s of the seed: %w", request, err)
	}
	return r.Reconciler.Reconcile(ctx, request)
}
