// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package takeover looks at what a shoot has, before the extension writes onto it for the first time.
//
// A shoot may have a Flux of its users, with a GitRepository and a Kustomization of the names that `flux bootstrap` gives them, which are
// also the extension's. If another repository or directory took their place, kustomize-controller would delete all that the Kustomization
// has deployed, because it compares with status.inventory, and so would all other Kustomizations that follow the same GitRepository
// (prune in internal/controller/kustomization_controller.go of kustomize-controller). What is not the extension's is therefore taken over
// only if nothing is lost by that.
//
// There is no switch that forces it: the shoot's owner makes the shoot such that nothing can be lost. A Kustomization that is suspended
// and then deleted deletes nothing, in every release of Flux (finalizerShouldDeleteResources there), and its inventory goes with it.
package takeover

import (
	"context"
	"fmt"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
)

var (
	kustomizationKind = flux.Kustomization.GroupKind
	secretKind        = corev1.SchemeGroupVersion.WithKind("Secret").GroupKind()
	deploymentKind    = appsv1.SchemeGroupVersion.WithKind("Deployment").GroupKind()
)

// notable are the kinds of objects that are looked at, in this order. (The others belong to the installation. What becomes of them is
// decided by the Deployments.)
var notable = slices.Concat(sourceKinds(), []schema.GroupKind{kustomizationKind, secretKind, deploymentKind})

func sourceKinds() []schema.GroupKind {
	var kinds []schema.GroupKind
	for _, kind := range flux.SourceKinds() {
		kinds = append(kinds, kind.GroupKind)
	}
	return kinds
}

// IsNotable tells whether an object is of a kind that Check looks at.
func IsNotable(object client.Object) bool {
	return slices.Contains(notable, object.GetObjectKind().GroupVersionKind().GroupKind())
}

// Request is what is to be written into a shoot.
type Request struct {
	// Namespace is the shoot's namespace in the seed. It tells the extension's own objects from others.
	Namespace string
	// FluxNamespace is where Flux is installed in the shoot. Default: flux-system.
	FluxNamespace string
	// Restoring tells that the shoot has just come from another seed, with all that the extension has made there.
	Restoring bool
	// WasOfUsers tells that the extension has left Flux to the shoot's users until now, who then chose that it manages it: what deploys Flux may become
	// the extension's at the same time.
	WasOfUsers bool
	// Objects are those that the extension has not written yet. They have a kind.
	Objects []client.Object
}

// Check looks at the objects of the shoot that would be written over. It returns a *Conflict if something would be lost by that, and else
// whether it is a Flux of somebody else's that is taken over. It writes nothing. Other errors say what could not be read. The client must
// not cache.
func Check(ctx context.Context, shoot client.Client, request Request) (takesOver bool, err error) {
	i := &inspection{shoot: shoot, request: request}
	for _, kind := range notable {
		for _, object := range request.Objects {
			if object.GetObjectKind().GroupVersionKind().GroupKind() != kind {
				continue
			}
			if err := i.check(ctx, kind, object); err != nil {
				return false, err
			}
		}
	}
	if err := i.checkOthers(ctx); err != nil {
		return false, err
	}
	if len(i.conflict.obstacles) > 0 {
		return false, &i.conflict
	}
	return i.takesOver, nil
}

// inspection is a Check that is under way.
type inspection struct {
	shoot     client.Client
	request   Request
	conflict  Conflict
	takesOver bool
	// changedSource is the source if whoever follows it would get another content.
	changedSource *changedSource
}

// checkOthers looks at what has other names than what would be written.
func (i *inspection) checkOthers(ctx context.Context) error {
	installs := slices.ContainsFunc(i.request.Objects, func(object client.Object) bool {
		return object.GetObjectKind().GroupVersionKind().GroupKind() == deploymentKind
	})
	if installs {
		if err := i.checkOtherInstallation(ctx); err != nil {
			return err
		}
	}
	switch {
	case i.changedSource == nil:
		return nil
	case len(i.conflict.obstacles) > 0: // a search that costs more than all the rest, for what has to be done again anyway
		i.conflict.partial = true
		return nil
	}
	return i.checkFollowers(ctx, *i.changedSource)
}

func (i *inspection) check(ctx context.Context, kind schema.GroupKind, wanted client.Object) error {
	key := client.ObjectKeyFromObject(wanted)
	if source, ok := flux.SourceKindOf(kind); ok {
		return i.checkSource(ctx, source, key, wanted)
	}
	switch kind {
	case kustomizationKind:
		return i.checkRoot(ctx, key, wanted)
	case secretKind:
		return i.checkSecret(ctx, key, wanted)
	default:
		return i.checkDeployment(ctx, key)
	}
}

// isOurs tells whether the extension has made an object, and still keeps it. Where the extension left Flux to the shoot's users, the
// objects say where they came from, but are protected no more. Those that an older extension has made on another seed never were.
func (i *inspection) isOurs(object metav1.Object) bool {
	return managedresource.CameFrom(object, i.request.Namespace) && (i.request.Restoring || render.IsProtected(object.GetAnnotations()))
}

// read reads an object in the version that the shoot prefers. It is nil if there is none, or if the shoot doesn't know its kind.
func (i *inspection) read(ctx context.Context, kind schema.GroupKind, key client.ObjectKey) (*unstructured.Unstructured, error) {
	gvk, err := i.served(kind)
	if err != nil || gvk.Empty() {
		return nil, err
	}
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(gvk)
	if err := i.shoot.Get(ctx, key, object); apierrors.IsNotFound(err) || meta.IsNoMatchError(err) {
		return nil, nil
	} else if err != nil {
		return nil, fmt.Errorf("failed to read %s %s of the shoot: %w", kind.Kind, key, err)
	}
	return object, nil
}

// served returns a kind in the version that the shoot prefers. It is empty if the shoot doesn't know the kind.
func (i *inspection) served(kind schema.GroupKind) (schema.GroupVersionKind, error) {
	mapping, err := i.shoot.RESTMapper().RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return schema.GroupVersionKind{}, nil
	} else if err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("failed to find out which versions of %s the shoot serves: %w", kind, err)
	}
	return mapping.GroupVersionKind, nil
}
