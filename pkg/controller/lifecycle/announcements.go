// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"fmt"

	corev1 "k8s.io/api/core/v1"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// announce makes events of what people should know although nothing failed.
func (a *Actuator) announce(ex *extensionsv1alpha1.Extension, project, fluxWarning string, credentials *source.Credentials) {
	event := func(eventType, reason, sentence string) {
		a.Events.Eventf(ex, nil, eventType, reason, "Reconcile", "%s", sentence)
	}
	if fluxWarning != "" {
		event(corev1.EventTypeWarning, "FluxVersion", fluxWarning)
	}
	if credentials == nil {
		return
	}
	if credentials.Created {
		event(corev1.EventTypeNormal, "KeyPairMade", fmt.Sprintf("Made a key pair in Secret %s/%s of the garden: register the public key at the Git server: %s",
			project, source.SecretName, credentials.PublicKey()))
	}
	for _, key := range credentials.HostKeys {
		if key.Origin == source.OriginScanned {
			event(corev1.EventTypeNormal, "HostKeyTrusted", fmt.Sprintf("Asked the Git server for its host key and keep what it said in Secret %s/%s of the garden: %s %s",
				project, source.SecretName, key.Type, key.Fingerprint))
		}
	}
}
