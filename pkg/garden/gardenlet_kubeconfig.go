// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	"github.com/gardener/gardener/pkg/client/kubernetes"
)

// gardenletSecret is where gardenlet keeps the kubeconfig of its own client of the garden, in the seed.
var gardenletSecret = types.NamespacedName{Namespace: v1beta1constants.GardenNamespace, Name: "gardenlet-kubeconfig"}

// GardenletKubeconfig returns the way into the garden that gardenlet uses itself: Secret garden/gardenlet-kubeconfig of
// the seed. The Secret is read at each call, because gardenlet replaces its client certificate in it; a new connection is
// made only when its content has changed. seed must not cache Secrets.
func GardenletKubeconfig(seed client.Reader) *Access {
	return &Access{
		origin: fmt.Sprintf("key %s of Secret %s of the seed", kubernetes.KubeConfig, gardenletSecret),
		read:   func(ctx context.Context) ([]byte, error) { return readGardenletSecret(ctx, seed) },
		advice: "a current Gardener refuses this to gardenlet, whose kubeconfig the extension uses here: set injectGardenKubeconfig: true in the " +
			"extension's ControllerDeployment, which gives it a ServiceAccount of its own, and apply " + RightsManifest + " of the extension's release to the garden",
	}
}

func readGardenletSecret(ctx context.Context, seed client.Reader) ([]byte, error) {
	secret := &corev1.Secret{}
	if err := seed.Get(ctx, gardenletSecret, secret); apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("Secret %s does not exist in the seed, is gardenlet running there? %w", gardenletSecret, err)
	} else if err != nil {
		return nil, fmt.Errorf("failed to read Secret %s of the seed: %w", gardenletSecret, err)
	}
	kubeconfig := secret.Data[kubernetes.KubeConfig]
	if len(kubeconfig) == 0 {
		return nil, fmt.Errorf("Secret %s of the seed has no key %s", gardenletSecret, kubernetes.KubeConfig)
	}
	return kubeconfig, nil
}
