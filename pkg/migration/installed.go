// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package migration

import (
	"context"
	"fmt"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
)

// versionLabel is on everything that `flux install` creates (pkg/manifestgen/install/templates.go of Flux).
const versionLabel = "app.kubernetes.io/version"

// InstalledDefinition returns the metadata of the CustomResourceDefinition of kind GitRepository, which the shoot has if it has Flux. It is
// empty if there is none.
func InstalledDefinition(ctx context.Context, shoot client.Reader) (*metav1.PartialObjectMetadata, error) {
	definition := &metav1.PartialObjectMetadata{}
	definition.SetGroupVersionKind(apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition"))
	key := client.ObjectKey{Name: "gitrepositories." + sourcev1.GroupVersion.Group}
	if err := shoot.Get(ctx, key, definition); client.IgnoreNotFound(err) != nil {
		return nil, fmt.Errorf("failed to read CustomResourceDefinition %s of the shoot: %w", key.Name, err)
	}
	return definition, nil
}

// VersionOf returns the Flux release that an installed definition is of, such as v2.9.4. It is empty if there is no Flux, or one that does
// not tell.
func VersionOf(definition *metav1.PartialObjectMetadata) string {
	return definition.Labels[versionLabel]
}
