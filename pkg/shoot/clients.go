// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package shoot

import (
	"context"
	"crypto/sha256"
	"os"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/utils/lru"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// maxClients bounds how many clients are kept. More shoots than that are served by new ones now and then.
const maxClients = 1024

// Clients keeps a client for each shoot that is asked again and again, with its connection and with what it has found out about
// the API versions of the shoot. It is safe for concurrent use.
type Clients struct {
	seed client.Client
	// known has a *knownClient by namespace of the seed.
	known *lru.Cache
}

type knownClient struct {
	client.Client
	kubeconfig [sha256.Size]byte
}

// NewClients returns Clients that read kubeconfigs with a client of the seed, which must not cache Secrets.
func NewClients(seed client.Client) *Clients {
	return &Clients{seed: seed, known: lru.New(maxClients)}
}

// Get returns a client as NewClient does: the same one as long as the shoot's kubeconfig in the seed is the same.
func (c *Clients) Get(ctx context.Context, namespace string) (client.Client, error) {
	kubeconfig, err := readKubeconfig(ctx, c.seed, namespace)
	if err != nil {
		return nil, err
	}
	digest := sha256.Sum256(kubeconfig)
	if known, ok := c.known.Get(namespace); ok && known.(*knownClient).kubeconfig == digest {
		return known.(*knownClient).Client, nil
	}
	config, err := configOf(kubeconfig, namespace)
	if err != nil {
		return nil, err
	}
	created, err := clientOf(config, namespace)
	if err != nil {
		return nil, err
	}
	c.known.Add(namespace, &knownClient{Client: created, kubeconfig: digest})
	return created, nil
}

// Forget drops the client of a shoot: because the shoot is gone, sleeps, or may serve other API versions than before.
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
