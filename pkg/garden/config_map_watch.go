// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"time"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/fields"
	"k8s.io/apimachinery/pkg/util/wait"
	toolscache "k8s.io/client-go/tools/cache"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// rotationInterval is how often the watch looks whether the garden's kubeconfig has changed.
const rotationInterval = 10 * time.Second

// ConfigMapWatch watches the ConfigMaps of one name in all namespaces of the garden. To the garden's API server this is a
// named request, for which a right that is restricted to the name (resourceNames) suffices.
type ConfigMapWatch struct {
	// Access is the way into the garden.
	Access *Access
	// Name is the name of the ConfigMaps.
	Name string
	// Seen is called with each ConfigMap that exists when the watch begins or is created later, with old being nil, and
	// with each one that is updated. It is also called now and then with one that has not changed. Deletions are not told.
	Seen func(ctx context.Context, old, configMap *corev1.ConfigMap)
	// Log takes what keeps the watch from working.
	Log logr.Logger
}

// Run watches until the context is done. It needs no garden to begin with: it goes on trying, and begins anew with each
// kubeconfig.
func (w *ConfigMapWatch) Run(ctx context.Context) {
	var current *Connection
	cancel := func() {}
	defer func() { cancel() }()

	wait.UntilWithContext(ctx, func(ctx context.Context) {
		connection, err := w.Access.Connection(ctx)
		if err != nil {
			w.Log.Error(err, "Changes of ConfigMaps in the garden may go unnoticed", "name", w.Name)
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

func (w *ConfigMapWatch) watch(ctx context.Context, connection *Connection) {
	if err := w.start(ctx, connection); err != nil && ctx.Err() == nil {
		w.Log.Error(err, "Changes of ConfigMaps in the garden are not noticed", "name", w.Name)
	}
}

func (w *ConfigMapWatch) start(ctx context.Context, connection *Connection) error {
	configMaps, err := cache.New(connection.Config, cache.Options{
		Scheme:                   scheme,
		Mapper:                   mapper,
		ByObject:                 map[client.Object]cache.ByObject{&corev1.ConfigMap{}: {Field: fields.OneTermEqualSelector("metadata.name", w.Name)}},
		DefaultTransform:         cache.TransformStripManagedFields(),
		DefaultWatchErrorHandler: w.report,
	})
	if err != nil {
		return err
	}
	informer, err := configMaps.GetInformer(ctx, &corev1.ConfigMap{}, cache.BlockUntilSynced(false))
	if err != nil {
		return err
	}
	if _, err := informer.AddEventHandler(toolscache.ResourceEventHandlerFuncs{
		AddFunc:    func(object any) { w.seen(ctx, nil, object) },
		UpdateFunc: func(old, object any) { w.seen(ctx, old, object) },
	}); err != nil {
		return err
	}
	return configMaps.Start(ctx)
}

func (w *ConfigMapWatch) seen(ctx context.Context, old, object any) {
	previous, _ := old.(*corev1.ConfigMap)
	if configMap, ok := object.(*corev1.ConfigMap); ok && ctx.Err() == nil {
		w.Seen(ctx, previous, configMap)
	}
}

// report is a toolscache.WatchErrorHandlerWithContext. The reflector tries again, ever less often.
func (w *ConfigMapWatch) report(ctx context.Context, reflector *toolscache.Reflector, err error) {
	if apierrors.IsForbidden(err) || apierrors.IsUnauthorized(err) {
		w.Log.Error(w.Access.explain(err), "Changes of ConfigMaps in the garden are not noticed", "name", w.Name)
		return
	}
	toolscache.DefaultWatchErrorHandler(ctx, reflector, err)
}
