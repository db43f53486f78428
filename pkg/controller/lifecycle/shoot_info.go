// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

// shootInfo is what the shoot is told of itself.
func (r *reconciliation) shootInfo() *render.ShootInfo {
	return &render.ShootInfo{
		Name:                  r.shoot.Name,
		TechnicalID:           cmp.Or(r.shoot.Status.TechnicalID, r.extension.Namespace),
		ClusterIdentity:       ptr.Deref(r.shoot.Status.ClusterIdentity, ""),
		GardenClusterIdentity: r.GardenIdentity,
	}
}

// keepUsersShootInfo leaves a ConfigMap shoot-info alone that the shoot's users have made: Flux may put its values in place of others. One of the
// extension that Gardener lists is the same as ours.
func (r *reconciliation) keepUsersShootInfo(ctx context.Context, shootClient client.Client) error {
	isShootInfo := func(object client.Object) bool {
		_, isConfigMap := object.(*corev1.ConfigMap)
		return isConfigMap && object.GetName() == render.ShootInfoName
	}
	hasFlux := r.observed.fluxVersion != "" || r.observed.state.FluxVersion != "" // else nobody puts its values anywhere
	if !hasFlux || !slices.ContainsFunc(notApplied(r.observed.configuration, r.desired.objects), isShootInfo) {
		return nil
	}
	there := &metav1.PartialObjectMetadata{}
	there.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("ConfigMap"))
	key := client.ObjectKey{Namespace: r.desired.Flux.Namespace, Name: render.ShootInfoName}
	if err := shootClient.Get(ctx, key, there); apierrors.IsNotFound(err) {
		exists, err := r.hasNamespace(ctx, shootClient)
		if err == nil && !exists {
			r.desired.objects = slices.DeleteFunc(r.desired.objects, isShootInfo)
		}
		return err
	} else if err != nil {
		return fmt.Errorf("failed to read ConfigMap %s of the shoot: %w", key, err)
	}
	if managedresource.CameFrom(there, r.extension.Namespace) || there.Labels[render.ManagedByLabel] == render.ManagedBy {
		return nil
	}
	r.desired.objects = slices.DeleteFunc(r.desired.objects, isShootInfo)
	notice := newNotice(corev1.EventTypeWarning, fluxv1alpha1.NoticeConfigMapKept, fmt.Sprintf("ConfigMap %s of the shoot is not the extension's and stays as it is, so that nothing tells Flux "+
		"the name and the identity of the shoot: to have that, give it another name", key))
	r.desired.status.Notices = append(r.desired.status.Notices, notice)
	return r.addNotices(ctx, notice)
}

// hasNamespace tells whether the shoot has the namespace of Flux, or gets it. A Flux that its users have installed may be in another one.
func (r *reconciliation) hasNamespace(ctx context.Context, shootClient client.Client) (bool, error) {
	if !r.desired.ownedByUsers {
		return true, nil
	}
	namespace := &metav1.PartialObjectMetadata{}
	namespace.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Namespace"))
	err := shootClient.Get(ctx, client.ObjectKey{Name: r.desired.Flux.Namespace}, namespace)
	if err != nil && !apierrors.IsNotFound(err) {
		return false, fmt.Errorf("failed to read Namespace %s of the shoot: %w", r.desired.Flux.Namespace, err)
	}
	return err == nil, nil
}
