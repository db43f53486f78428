// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// maxClients bounds how many clients are kept. More shoots than that are served by new ones now and then.
const maxClients = 4096

// Clients keeps a client for each shoot that is asked again and again. It is safe for concurrent use.
type Clients struct {
	seed client.Reader
	// mapper knows the kinds that are asked for, so that no shoot is asked for all that it serves, and nothing of that is kept.
	mapper meta.RESTMapper
	// known has a client.Client by namespace of the seed.
	known *lru.Cache
}

// NewClients returns Clients that read kubeconfigs with a client of the seed, which must not cache Secrets. Kept clients know the kinds of the mapper
// only.
func NewClients(seed client.Reader, mapper meta.RESTMapper) *Clients {
	return &Clients{seed: seed, mapper: mapper, known: lru.New(maxClients)}
}

// Get returns a client as NewClient does: the same one until it is forgotten. The seed is asked only for a new one.
func (c *Clients) Get(ctx context.Context, namespace string) (client.Client, error) {
	if known, ok := c.known.Get(namespace); ok {
		return known.(client.Client), nil
	}
	access, err := readAccess(ctx, c.seed, namespace)
	if err != nil {
		return nil, err
	}
	return c.keep(namespace, access)
}

// New returns a client as NewClient does, for all kinds, and makes Get use the credentials that it has read.
func (c *Clients) New(ctx context.Context, namespace string) (client.Client, error) {
	access, err := readAccess(ctx, c.seed, namespace)
	if err != nil {
		return nil, err
	}
	if _, err := c.keep(namespace, access); err != nil {
		return nil, err
	}
	return access.newClient(namespace)
}

func (c *Clients) keep(namespace string, access *access) (client.Client, error) {
	created, err := access.newClientFor(namespace, c.mapper)
	if err != nil {
		return nil, err
	}
	c.known.Add(namespace, created)
	return created, nil
}

// Forget drops the client of a shoot: because the shoot is gone, sleeps, or did not answer, for which there may be a new kubeconfig.
func (c *Clients) Forget(namespace string) {
	c.known.Remove(namespace)
}

// readKubeconfig reads what Gardener's util.NewClientForShoot reads.
func readKubeconfig(ctx context.Context, seed client.Reader, namespace string) ([]byte, error) {
	names := []string{v1beta1constants.SecretNameGardenerInternal, v1beta1constants.SecretNameGardener}
	if os.Getenv("GARDENER_SHOOT_CLIENT") == "external" {
		names = names[1:]
	}
	var err error
	for _, name := range names {
		secret := &corev1.Secret{}
		if err = seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, secret); err == nil {
			return secret.Data[kubernetes.KubeConfig], nil
		} else if !apierrors.IsNotFound(err) {
			break
		}
	}
	return nil, noAccessError(namespace, err)
}
