// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package shoot gives access to the API servers of shoots.
package shoot

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsconfigv1alpha1 "github.com/gardener/gardener/extensions/pkg/apis/config/v1alpha1"
	"github.com/gardener/gardener/extensions/pkg/util"
)

// requestTimeout bounds a single request, so that a shoot that does not answer holds up a worker for a short time only.
const requestTimeout = 10 * time.Second

// NewClient returns a client of the shoot with the given namespace in the seed. It doesn't cache, and has the rights that
// gardenlet has in the shoot. The error says where credentials were looked for.
func NewClient(ctx context.Context, seed client.Client, namespace string) (client.Client, error) {
	timeout := requestTimeout
	_, shoot, err := util.NewClientForShoot(ctx, seed, namespace, client.Options{Scheme: scheme}, extensionsconfigv1alpha1.RESTOptions{Timeout: &timeout})
	if err != nil {
		return nil, fmt.Errorf("no access to the shoot by Secret gardener-internal or gardener in namespace %s of the seed: %w", namespace, err)
	}
	return shoot, nil
}

// scheme has the kinds that are read as typed objects.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	return scheme
}()
