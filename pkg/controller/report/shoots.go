// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"context"
	"encoding/json"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/seed"
)

// shootEntry is a shoot of a project on the seed.
type shootEntry struct {
	shoot     *metav1.PartialObjectMetadata
	extension *extensionsv1alpha1.Extension
	status    ShootStatus
	publicKey string
}

// shootsOf returns the shoots of a project that this seed speaks for. Those that have notices that people don't know yet are returned
// also if they leave the seed.
func (r *Reporter) shootsOf(ctx context.Context, project string) (shoots, noticed []shootEntry, err error) {
	clusters := &extensionsv1alpha1.ClusterList{}
	if err := r.seed.List(ctx, clusters, client.MatchingFields{projectField: project}); err != nil {
		return nil, nil, fmt.Errorf("failed to list the Clusters of the seed: %w", err)
	}
	for _, cluster := range clusters.Items {
		shoot := shootOf(&cluster)
		if shoot == nil {
			continue
		}
		ex := &extensionsv1alpha1.Extension{}
		key := client.ObjectKey{Namespace: cluster.Name, Name: r.extensionType}
		if err := r.seed.Get(ctx, key, ex); client.IgnoreNotFound(err) != nil {
			return nil, nil, fmt.Errorf("failed to read Extension %s of the seed: %w", key, err)
		} else if err != nil {
			continue
		}
		flux := fluxv1alpha1.StatusOf(ex)
		entry := shootEntry{shoot: shoot, extension: ex, status: ShootStatusOf(ex), publicKey: flux.PublicKey}
		if !seed.IsLeaving(ex) {
			shoots = append(shoots, entry)
		}
		if len(flux.UnreportedNotices()) > 0 {
			noticed = append(noticed, entry)
		}
	}
	return shoots, noticed, nil
}

// shootOf reads only what is needed of the Shoot in a Cluster, or returns nil if there is none.
func shootOf(cluster *extensionsv1alpha1.Cluster) *metav1.PartialObjectMetadata {
	shoot := &metav1.PartialObjectMetadata{}
	if err := json.Unmarshal(cluster.Spec.Shoot.Raw, shoot); err != nil || shoot.Namespace == "" {
		return nil
	}
	return shoot
}
