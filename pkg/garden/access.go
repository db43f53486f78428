// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package garden gives access to the garden cluster, in which project admins configure Flux.
//
// There are two ways in. On a current landscape gardenlet mounts a kubeconfig with the token of a ServiceAccount that has
// only the rights of the extension ([KubeconfigFile]). On an older one the extension uses the kubeconfig of gardenlet
// itself ([GardenletKubeconfig]).
package garden

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/transport"
	"sigs.k8s.io/controller-runtime/pkg/client"

	gardencorev1beta1 "github.com/gardener/gardener/pkg/apis/core/v1beta1"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// requestTimeout bounds a single request to the garden, so that an unreachable garden is told apart from a slow one
// well before a reconciliation times out.
const requestTimeout = 30 * time.Second

// Access is a way into the garden that follows the rotation of its credentials.
type Access struct {
	// origin says in a sentence where the kubeconfig comes from.
	origin string
	// read returns the kubeconfig as it is now. Its errors are sentences about the origin.
	read func(context.Context) ([]byte, error)
	// fields are those of a kubeconfig that are allowed although they refer to files.
	fields []string
	// advice says what the operator can do if the garden refuses a request.
	advice string

	mutex      sync.Mutex
	kubeconfig []byte
	connection *Connection
}

// Connection is how to reach the garden with the credentials of the moment.
type Connection struct {
	// Client doesn't cache. If the garden refuses a request, the error says what the operator can do.
	Client client.Client
	// Config has no timeout, because watches last.
	Config *rest.Config

	host string
}

// Client returns a client of the garden that doesn't cache, valid for the current credentials: callers ask for it each
// time they need it. The error says where credentials were looked for and what to do.
func (a *Access) Client(ctx context.Context) (client.Client, error) {
	connection, err := a.Connection(ctx)
	if err != nil {
		return nil, err
	}
	return connection.Client, nil
}

// Connection returns how to reach the garden now. It is the same one as long as the kubeconfig is the same. The garden is
// not asked. The error says where credentials were looked for and what to do.
func (a *Access) Connection(ctx context.Context) (*Connection, error) {
	kubeconfig, err := a.read(ctx)
	if err != nil {
		return nil, fmt.Errorf("no access to the garden: %w", err)
	}

	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.connection != nil && bytes.Equal(kubeconfig, a.kubeconfig) {
		return a.connection, nil
	}
	connection, err := a.connect(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("no access to the garden: %s is not usable: %w", a.origin, err)
	}
	a.kubeconfig, a.connection = kubeconfig, connection
	return connection, nil
}

// Host returns host and port of the garden's API server, as they are in the address of requests. It is empty as long as nobody has
// asked for the garden.
func (a *Access) Host() string {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	if a.connection == nil {
		return ""
	}
	return a.connection.host
}

func (a *Access) connect(kubeconfig []byte) (*Connection, error) {
	config, err := kubernetes.RESTConfigFromKubeconfig(kubeconfig, a.fields...)
	if err != nil {
		return nil, err
	}
	address, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, err
	}
	// The garden's API server applies its own priority and fairness: no second queue here.
	config.QPS = -1
	rereadRefusedToken(config)

	limited := rest.CopyConfig(config)
	limited.Timeout = requestTimeout
	direct, err := client.New(limited, client.Options{Scheme: scheme, Mapper: mapper})
	if err != nil {
		return nil, err
	}
	return &Connection{Client: &explainingClient{Client: direct, explain: a.explain}, Config: config, host: address.Host}, nil
}

// rereadRefusedToken makes a token in a file be read again after the garden has refused the one of before. client-go reads it again only
// each minute, which is still what happens as long as nothing is refused.
func rereadRefusedToken(config *rest.Config) {
	if config.BearerTokenFile == "" {
		return
	}
	token := transport.NewCachedFileTokenSource(config.BearerTokenFile)
	config.BearerToken, config.BearerTokenFile = "", ""
	config.Wrap(transport.ResettableTokenSourceWrapTransport(token))
}

// scheme has the kinds that are read and written in the garden.
var scheme = func() *runtime.Scheme {
	scheme := runtime.NewScheme()
	utilruntime.Must(corev1.AddToScheme(scheme))
	utilruntime.Must(eventsv1.AddToScheme(scheme))
	return scheme
}()

// mapper saves asking the garden for all it serves, and so works while the garden is unreachable.
var mapper = func() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"ConfigMap", "Secret"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	mapper.Add(gardencorev1beta1.SchemeGroupVersion.WithKind("Seed"), meta.RESTScopeRoot)
	mapper.Add(eventsv1.SchemeGroupVersion.WithKind("Event"), meta.RESTScopeNamespace)
	return mapper
}()
