// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/cache"
)

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
	// Listed is called when all ConfigMaps have been told that existed when the watch began, each time it begins. It may be nil.
	Listed func(ctx context.Context)
	// Log takes what keeps the watch from working.
	Log logr.Logger
}

// Run watches until the context is done. It needs no garden to begin with: it goes on trying, and begins anew with each
// kubeconfig.
func (w *ConfigMapWatch) Run(ctx context.Context) {
	watch := namedWatch{access: w.Access, what: "ConfigMaps", object: &corev1.ConfigMap{}, name: w.Name, log: w.Log, transform: cache.TransformStripManagedFields(), listed: w.Listed, seen: func(ctx context.Context, old, object any) {
		previous, _ := old.(*corev1.ConfigMap)
		if configMap, ok := object.(*corev1.ConfigMap); ok {
			w.Seen(ctx, previous, configMap)
		}
	}}
	watch.run(ctx)
}
