// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// requestTimeout bounds a single request to the garden, so that an unreachable garden is told apart from a slow one
// well before a reconciliation times out.
const requestTimeout = 30 * time.Second

// gardenletSecret is where gardenlet keeps the kubeconfig of its own client of the garden, in the seed.
var gardenletSecret = types.NamespacedName{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}

type gardenletKubeconfig struct {
	seed client.Reader

	mutex      sync.Mutex
	kubeconfig []byte
	client     client.Client
}

// GardenletKubeconfig returns the way into the garden that gardenlet uses itself: Secret garden/gardenlet-kubeconfig of
// the seed. The Secret is read at each call, because gardenlet replaces its client certificate in it; a new client is
// built only when its content has changed. seed must not cache Secrets.
func GardenletKubeconfig(seed client.Reader) Access {
	return &gardenletKubeconfig{seed: seed}
}

func (g *gardenletKubeconfig) Client(ctx context.Context) (client.Client, error) {
	secret := &corev1.Secret{}
	if err := g.seed.Get(ctx, gardenletSecret, secret); apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("no access to the garden: Secret %s does not exist in the seed, is gardenlet running there? %w", gardenletSecret, err)
	} else if err != nil {
		return nil, fmt.Errorf("no access to the garden: failed to read Secret %s of the seed: %w", gardenletSecret, err)
	}

	kubeconfig := secret.Data[kubernetes.KubeConfig]
	if len(kubeconfig) == 0 {
		return nil, fmt.Errorf("no access to the garden: Secret %s of the seed has no key %s", gardenletSecret, kubernetes.KubeConfig)
	}
	return g.clientFor(kubeconfig)
}

func (g *gardenletKubeconfig) clientFor(kubeconfig []byte) (client.Client, error) {
	g.mutex.Lock()
	defer g.mutex.Unlock()

	if bytes.Equal(kubeconfig, g.kubeconfig) {
		return g.client, nil
	}
	gardenClient, err := newClient(kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("no access to the garden: key %s of Secret %s of the seed is not usable: %w", kubernetes.KubeConfig, gardenletSecret, err)
	}
	g.kubeconfig, g.client = kubeconfig, gardenClient
	return gardenClient, nil
}

func newClient(kubeconfig []byte) (client.Client, error) {
	config, err := kubernetes.RESTConfigFromKubeconfig(kubeconfig)
	if err != nil {
		return nil, err
	}
	config.Timeout = requestTimeout
	// The garden's API server applies its own priority and fairness: no second queue here.
	config.QPS = -1

	scheme := runtime.NewScheme()
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	return client.New(config, client.Options{Scheme: scheme, Mapper: coreMapper()})
}

// coreMapper knows the two kinds that are read and written in the garden, which saves asking it for all it serves.
func coreMapper() meta.RESTMapper {
	mapper := meta.NewDefaultRESTMapper(nil)
	for _, kind := range []string{"ConfigMap", "Secret"} {
		mapper.Add(corev1.SchemeGroupVersion.WithKind(kind), meta.RESTScopeNamespace)
	}
	return mapper
}
