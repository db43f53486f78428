// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// PruneOnDeletion lets the deletion of the root Kustomization delete what it deployed, if it prunes. A release that does not know
// spec.deletionPolicy does that anyway, and so does a Kustomization that says nothing of it. Another policy than Orphan is what somebody wrote, and
// stays. It is no error if there is no root Kustomization, or one that did not come from the ManagedResource of the given name.
func (r Removal) PruneOnDeletion(ctx context.Context, managedResource string) error {
	root, err := r.findRoot(ctx)
	if err != nil || root == nil || !r.isRoot(root, managedResource) {
		return err
	}
	return pruneOnDeletion(ctx, r.Shoot, root)
}

// DeleteRoot lets Flux delete what it deployed from the project's repository, where no ManagedResource in the seed can: the root
// Kustomization is deleted in the shoot, if it came from the ManagedResource of the given name.
func (r Removal) DeleteRoot(ctx context.Context, managedResource string) error {
	root, err := r.findRoot(ctx)
	if err != nil || root == nil || root.GetDeletionTimestamp() != nil || !r.isRoot(root, managedResource) {
		return err
	}
	if err := pruneOnDeletion(ctx, r.Shoot, root); err != nil {
		return err
	}
	if err := r.Shoot.Delete(ctx, root, client.Preconditions{UID: new(root.GetUID())}); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to delete Kustomization %s of the shoot: %w", client.ObjectKeyFromObject(root), err)
	}
	return nil
}

// isRoot tells whether the Kustomization of the root's name is the extension's, or has been.
func (r Removal) isRoot(found *unstructured.Unstructured, managedResource string) bool {
	return cameFrom(found, managedResource) || r.isLeft(found)
}

// findRoot returns the Kustomization of the root's name, or nil if the shoot has none.
func (r Removal) findRoot(ctx context.Context) (*unstructured.Unstructured, error) {
	definition := &apiextensionsv1.CustomResourceDefinition{}
	kind := flux.Kustomization.Definition()
	if err := r.Shoot.Get(ctx, client.ObjectKey{Name: kind}, definition); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", kind, err)
	}
	root := &unstructured.Unstructured{}
	root.SetGroupVersionKind(shoot.KindOf(definition).GroupVersionKind)
	key := r.keyOf(flux.Kustomization)
	if err := r.Shoot.Get(ctx, key, root); apierrors.IsNotFound(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read Kustomization %s of the shoot: %w", key, err)
	}
	return root, nil
}

func pruneOnDeletion(ctx context.Context, c client.Writer, root *unstructured.Unstructured) error {
	policy, found, err := unstructured.NestedString(root.Object, "spec", "deletionPolicy")
	if err != nil || !found || policy != kustomizev1.DeletionPolicyOrphan {
		return err
	}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"deletionPolicy":%q}}`, kustomizev1.DeletionPolicyMirrorPrune))
	if err := c.Patch(ctx, root, patch); client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("failed to set spec.deletionPolicy of Kustomization %s of the shoot: %w", client.ObjectKeyFromObject(root), err)
	}
	return nil
}
