// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret"
)

// maxFound bounds how many objects are found, because anybody in the shoot can make more that look like ours. A release has about 40.
const maxFound = 500

// Protected returns the objects of the shoot that came from the ManagedResource of the given name and that Flux leaves alone (render.Protect).
// It is for a seed that does not know them, because another one has made them.
func (r Removal) Protected(ctx context.Context, managedResource string) ([]corev1.ObjectReference, error) {
	references, err := r.byName(ctx)
	if err != nil {
		return nil, err
	}
	objects, err := read(ctx, r.Shoot, references)
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
		if err := shoot.List(ctx, r.Shoot, kind, visit, r.installed(), client.InNamespace(r.Namespace)); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// byName are the objects of the extension that are known by their names: what `flux install` makes for the whole shoot, and what it does not
// make, so that it has no labels by which it is found.
func (r Removal) byName(ctx context.Context) ([]corev1.ObjectReference, error) {
	references, err := r.followers(ctx)
	if err != nil {
		return nil, err
	}
	besides, err := r.besides(ctx)
	if err != nil {
		return nil, err
	}
	references = append(references, besides...)
	references = append(references, corev1.ObjectReference{APIVersion: "v1", Kind: namespaceKind.Kind, Name: r.Namespace})
	return append(references, r.installation()...), nil
}

// besides is what the extension gives a Flux that is neither of its installation nor followed: ConfigMap shoot-info, and Secrets. Those of the
// shoot's owner have any name, and a label.
func (r Removal) besides(ctx context.Context) ([]corev1.ObjectReference, error) {
	references := append(r.secrets(), corev1.ObjectReference{APIVersion: "v1", Kind: secretKind.Kind, Namespace: r.Namespace, Name: render.PullSecretName},
		corev1.ObjectReference{APIVersion: "v1", Kind: "ConfigMap", Namespace: r.Namespace, Name: render.ShootInfoName})
	seen := 0
	for _, namespace := range r.namespaces() {
		visit := func(object *metav1.PartialObjectMetadata) (more bool, err error) {
			seen++
			if reference := referenceTo(object); !slices.Contains(references, reference) {
				references = append(references, reference)
			}
			return seen < maxFound, nil
		}
		if err := shoot.List(ctx, r.Shoot, secretKind, visit, client.MatchingLabels{render.ManagedByLabel: render.ManagedBy}, client.InNamespace(namespace)); err != nil {
			return nil, err
		}
	}
	return references, nil
}

// namespaces are those of the shoot in which the extension has something.
func (r Removal) namespaces() []string {
	namespaces := []string{r.Namespace, r.keyOf(flux.GitRepository.ObjectKind).Namespace, r.keyOf(flux.Kustomization).Namespace}
	slices.Sort(namespaces)
	return slices.Compact(namespaces)
}

// secrets are those by which the extension lets Flux read the source, in its namespace.
func (r Removal) secrets() []corev1.ObjectReference {
	var references []corev1.ObjectReference
	namespace := r.keyOf(flux.GitRepository.ObjectKind).Namespace
	for _, name := range append(sourcesecret.ShootSecretNames(), render.VerifySecretName) {
		references = append(references, corev1.ObjectReference{APIVersion: "v1", Kind: "Secret", Namespace: namespace, Name: name})
	}
	return references
}

// followers are the Kustomization and the source of the extension, in the versions in which the shoot stores them, if it has their
// kinds: first the one by which Flux deploys.
func (r Removal) followers(ctx context.Context) ([]corev1.ObjectReference, error) {
	var references []corev1.ObjectReference
	for _, followed := range flux.Kinds() {
		name := followed.Definition()
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := r.Shoot.Get(ctx, client.ObjectKey{Name: name}, definition); apierrors.IsNotFound(err) {
			continue
		} else if err != nil {
			return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", name, err)
		}
		key := r.keyOf(followed)
		version, kind := shoot.KindOf(definition).ToAPIVersionAndKind()
		references = append(references, corev1.ObjectReference{APIVersion: version, Kind: kind, Namespace: key.Namespace, Name: key.Name})
	}
	return references, nil
}

func referenceTo(object *metav1.PartialObjectMetadata) corev1.ObjectReference {
	return corev1.ObjectReference{APIVersion: object.APIVersion, Kind: object.Kind, Namespace: object.Namespace, Name: object.Name}
}
