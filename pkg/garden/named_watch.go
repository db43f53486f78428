// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rotationInterval is how often the watch looks whether the garden's kubeconfig has changed.
const rotationInterval = 10 * time.Second

// namedWatch watches the objects of one kind and name in all namespaces of the garden.
type namedWatch struct {
	access *Access
	// what are the objects, in a log.
	what string
	// object is an empty one of the kind.
	object client.Object
	name   string
	// transform makes of an object what is kept of it.
	transform toolscache.TransformFunc
	// seen is told what a toolscache.ResourceEventHandler is told. old is nil if the object is new.
	seen func(ctx context.Context, old, object any)
	// listed is called when all objects have been told that there were when the watch began, or is nil.
	listed func(ctx context.Context)
	log    logr.Logger
}

// run watches until the context is done. It needs no garden to begin with: it goes on trying, and begins anew with each
// kubeconfig.
func (w *namedWatch) run(ctx context.Context) {
	var current *Connection
	cancel := func() {}
	defer func() { cancel() }()

	wait.UntilWithContext(ctx, func(ctx context.Context) {
		connection, err := w.access.Connection(ctx)
		if err != nil {
			w.log.Error(err, "Changes of "+w.what+" in the garden may go unnoticed", "name", w.name)
			return
		}
		if connection == current {
			return
		}
		cancel()
		var watch context.Context
		watch, cancel = context.WithCancel(ctx)
		current = connection
		go w.watch(watch, connection)
	}, rotationInterval)
}

func (w *namedWatch) watch(ctx context.Context, connection *Connection) {
	if err := w.start(ctx, connection); err != nil && ctx.Err() == nil {
		w.log.Error(err, "Changes of "+w.what+" in the garden are not noticed", "name", w.name)
	}
}

func (w *namedWatch) start(ctx context.Context, connection *Connection) error {
	objects, err := cache.New(connection.Config, cache.Options{
		Scheme:                   scheme,
		Mapper:                   mapper,
		ByObject:                 map[client.Object]cache.ByObject{w.object: {Field: fields.OneTermEqualSelector("metadata.name", w.name)}},
		DefaultTransform:         w.transform,
		DefaultWatchErrorHandler: w.report,
	})
	if err != nil {
		return err
	}
	informer, err := objects.GetInformer(ctx, w.object, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	registration, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.tell(ctx, nil, object) },
		UpdateFunc: func(old, object any) { w.tell(ctx, old, object) },
	})
	if err != nil {
		return err
	}
	if w.listed != nil {
		go func() {
			if toolscache.WaitForCacheSync(ctx.Done(), registration.HasSynced) {
				w.listed(ctx)
			}
		}()
	}
	return objects.Start(ctx)
}

func (w *namedWatch) tell(ctx context.Context, old, object any) {
	if ctx.Err() == nil {
		w.seen(ctx, old, object)
	}
}

// report is a toolscache.WatchErrorHandlerWithContext. The reflector tries again, ever less often.
func (w *namedWatch) report(ctx context.Context, reflector *toolscache.Reflector, err error) {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		w.log.Error(w.access.explain(err), "Changes of "+w.what+" in the garden are not noticed", "name", w.name)
		return
	}
	toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
}
