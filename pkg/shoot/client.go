// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package shoot gives access to the API servers of shoots.
//
// What a shoot holds is its users' choice, in number and in size. So answers are bounded in bytes, lists are read in pages, and
// work on many objects is done in slices (Slice, Sweep).
package shoot

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// requestTimeout bounds a single request, so that a shoot that does not answer holds up a worker for a short time only. It is longer
// than an API server waits for a webhook that does not answer, before it lets a write pass: 10 s by default, and up to 15 s where Gardener
// finds nothing wrong with it (WebhookMaximumTimeoutSecondsNotProblematic of gardenlet).
const requestTimeout = 16 * time.Second

// idleTimeout is longer than it takes from one request of a reconciliation to the next.
const idleTimeout = 3 * time.Second

// NewClient returns a client of the shoot with the given namespace in the seed. It doesn't cache, and has the rights that
// gardenlet has in the shoot. The error says where credentials were looked for.
func NewClient(ctx context.Context, seed client.Reader, namespace string) (client.Client, error) {
	access, err := readAccess(ctx, seed, namespace)
	if err != nil {
		return nil, err
	}
	return access.newClient(namespace)
}

// access is the way to the API server of a shoot.
type access struct {
	config     *rest.Config
	httpClient *http.Client
}

func readAccess(ctx context.Context, seed client.Reader, namespace string) (*access, error) {
	config, err := newConfig(ctx, seed, namespace)
	if err != nil {
		return nil, err
	}
	httpClient, err := newHTTPClient(config)
	if err != nil {
		return nil, noAccessError(namespace, err)
	}
	return &access{config: config, httpClient: httpClient}, nil
}

// newClient returns a client for all kinds that the shoot serves.
func (a *access) newClient(namespace string) (client.Client, error) {
	mapper, err := newMapper(a.config, a.httpClient)
	if err != nil {
		return nil, noAccessError(namespace, err)
	}
	return a.newClientFor(namespace, mapper)
}

// newClientFor returns a client for the kinds that the mapper knows.
func (a *access) newClientFor(namespace string, mapper meta.RESTMapper) (client.Client, error) {
	shoot, err := client.New(a.config, client.Options{Scheme: scheme, Mapper: mapper, HTTPClient: a.httpClient})
	if err != nil {
		return nil, noAccessError(namespace, err)
	}
	return shoot, nil
}

// newHTTPClient makes a client whose connections live only from one request to the next. client-go would keep one for each shoot, and all that it
// needs, for as long as the shoot is looked into now and then: a third of the memory of the process.
func newHTTPClient(config *rest.Config) (*http.Client, error) {
	tlsConfig, err := rest.TLSConfigFor(config)
	if err != nil {
		return nil, fmt.Errorf("the certificates can't be used: %w", err)
	}
	transport, err := rest.HTTPWrappersForConfig(config, &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: requestTimeout}).DialContext,
		TLSClientConfig:     tlsConfig,
		TLSHandshakeTimeout: requestTimeout,
		IdleConnTimeout:     idleTimeout,
	})
	if err != nil {
		return nil, fmt.Errorf("the credentials can't be used: %w", err)
	}
	return &http.Client{Transport: transport, Timeout: config.Timeout}, nil
}

// newConfig does not limit the rate of requests: an API server of Gardener has priority and fairness, and what is asked of it is
// bounded by whoever asks.
func newConfig(ctx context.Context, seed client.Reader, namespace string) (*rest.Config, error) {
	kubeconfig, err := readKubeconfig(ctx, seed, namespace)
	if err != nil {
		return nil, err
	}
	// What gardenlet writes has these fields (util.NewClientForShoot of Gardener allows them too).
	config, err := kubernetes.RESTConfigFromKubeconfig(kubeconfig, kubernetes.AuthTokenFile, kubernetes.AuthClientKey, kubernetes.AuthClientCertificate)
	if err != nil {
		return nil, noAccessError(namespace, err)
	}
	config.QPS = -1
	config.Timeout = requestTimeout
	config.Wrap(limitResponses)
	return config, nil
}

func noAccessError(namespace string, cause error) error {
	return fmt.Errorf("no access to the shoot by Secret gardener-internal or gardener in namespace %s of the seed: %w", namespace, cause)
}

// scheme has the kinds that are read as typed objects.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(apiextensionsv1.AddToScheme(scheme))
	return scheme
}()
