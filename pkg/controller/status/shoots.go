// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package status

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/status"
)

// entry is a shoot of a project on the seed.
type entry struct {
	shoot     status.Shoot
	line      status.Line
	publicKey string
}

// entriesOf returns the shoots of a project that have the extension and that this seed speaks for, except for the one with the
// given namespace in the seed.
func (t *Teller) entriesOf(ctx context.Context, project, except string) ([]entry, error) {
	clusters := &extensionsv1alpha1.ClusterList{}
	if err := t.seed.List(ctx, clusters, client.MatchingFields{projectField: project}); err != nil {
		return nil, fmt.Errorf("failed to list the Clusters of the seed: %w", err)
	}
	var entries []entry
	for _, cluster := range clusters.Items {
		shoot := shootOf(&cluster)
		if shoot == nil || cluster.Name == except {
			continue
		}
		ex := &extensionsv1alpha1.Extension{}
		key := client.ObjectKey{Namespace: cluster.Name, Name: t.extensionType}
		if err := t.seed.Get(ctx, key, ex); client.IgnoreNotFound(err) != nil {
			return nil, fmt.Errorf("failed to read Extension %s of the seed: %w", key, err)
		} else if err != nil || seed.IsLeaving(ex) {
			continue
		}
		entries = append(entries, entry{shoot: *shoot, line: status.LineOf(ex), publicKey: fluxv1alpha1.StatusOf(ex).PublicKey})
	}
	return entries, nil
}

// shootOf reads only what is needed of the Shoot in a Cluster, or returns nil if there is none.
func shootOf(cluster *extensionsv1alpha1.Cluster) *status.Shoot {
	shoot := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(cluster.Spec.Shoot.Raw, shoot); err != nil || shoot.Namespace == "" {
		return nil
	}
	return &status.Shoot{Namespace: shoot.Namespace, Name: shoot.Name, UID: shoot.UID}
}
