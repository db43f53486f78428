// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// InstalledDefinition returns the metadata of the CustomResourceDefinition of kind GitRepository, which the shoot has if it has Flux. It is
// empty if there is none.
func InstalledDefinition(ctx context.Context, shoot client.Client) (*metav1.PartialObjectMetadata, error) {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	if serves, err := isServed(shoot, flux.GitRepository.GroupKind); err != nil || !serves {
		return definition, err
	}
	key := client.ObjectKey{Name: flux.GitRepository.Definition()}
	if err := shoot.Get(ctx, key, definition); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", key.Name, err)
	}
	return definition, nil
}

// isServed tells whether a shoot serves a kind. That is known without asking for each kind, which a shoot without Flux makes many requests of. A
// definition that is not served holds objects that nobody can read, and the API server itself refuses to lose a version that they are stored in.
func isServed(shoot client.Client, kind schema.GroupKind) (bool, error) {
	_, err := shoot.RESTMapper().RESTMapping(kind)
	if meta.IsNoMatchError(err) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("failed to find out whether the shoot serves %s: %w", kind, err)
	}
	return true, nil
}

// VersionOf returns the Flux release that an installed definition is of, such as v2.9.4. It is empty if there is no Flux, or one that does
// not tell.
func VersionOf(definition *metav1.PartialObjectMetadata) string {
	return definition.Labels[flux.LabelVersion]
}
