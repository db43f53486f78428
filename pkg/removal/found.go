// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/source"
)

// maxFound bounds how many objects are found, because anybody in the shoot can make more that look like ours. A release has about 40.
const maxFound = 500

// secrets are those that the extension makes in the shoot, in the namespace of Flux.
var secrets = []string{source.SecretName, render.PullSecretName}

// Protected returns the objects of the shoot that came from the ManagedResource of the given name and that Flux leaves alone (render.Protect).
// It is for a seed that does not know them, because another one has made them.
func Protected(ctx context.Context, c client.Reader, managedResource string) ([]corev1.ObjectReference, error) {
	references, err := byName(ctx, c)
	if err != nil {
		return nil, err
	}
	objects, err := read(ctx, c, references)
	if err != nil {
		return nil, err
	}
	var found []corev1.ObjectReference
	visit := func(object *metav1.PartialObjectMetadata) (more bool, err error) {
		if cameFrom(object, managedResource) && render.IsProtected(object.Annotations) {
			found = append(found, referenceTo(object))
		}
		return len(found) < maxFound, nil
	}
	for i := range objects {
		_, _ = visit(&objects[i])
	}
	for _, kind := range runningKinds {
		if err := shoot.List(ctx, c, kind, visit, installed, client.InNamespace(flux.Namespace)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// byName are the objects of the extension that are known by their names: what `flux install` makes for the whole shoot, and what it does not
// make, so that it has no labels by which it is found.
func byName(ctx context.Context, c client.Reader) ([]corev1.ObjectReference, error) {
	references, err := followers(ctx, c)
	if err != nil {
		return nil, err
	}
	for _, name := range secrets {
		references = append(references, corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: flux.Namespace, Name: name})
	}
	references = append(references, corev1.ObjectReference{APIVersion: "v1", Kind: namespaceKind.Kind, Name: flux.Namespace})
	return append(references, installation...), nil
}

// followers are the Kustomization and the GitRepository of the extension, in the versions in which the shoot stores them, if it has their
// kinds: first the one by which Flux deploys.
func followers(ctx context.Context, c client.Reader) ([]corev1.ObjectReference, error) {
	var references []corev1.ObjectReference
	for _, followed := range flux.Kinds() {
		name := followed.Definition()
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := c.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		version, kind := shoot.KindOf(definition).ToAPIVersionAndKind()
		references = append(references, corev1.ObjectReference{APIVersion: version, Kind: kind, Namespace: flux.Namespace, Name: flux.Name})
	}
	return references, nil
}

func referenceTo(object *metav1.PartialObjectMetadata) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name}
}
