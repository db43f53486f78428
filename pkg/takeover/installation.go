// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package takeover

import (
	"cmp"
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/migration"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/removal"
)

// checkOtherInstallation looks for a Flux in another namespace. Its controllers and those of the extension would work on the same objects,
// which are those of all namespaces, and whichever is removed first takes the CustomResourceDefinitions along.
func (i *inspection) checkOtherInstallation(ctx context.Context) error {
	other, err := i.removal().OtherController(ctx, "")
	if err != nil {
		return err
	}
	if other != nil {
		i.addOther(other)
		return nil
	}
	definition, err := migration.InstalledDefinition(ctx, i.shoot)
	if err != nil {
		return err
	}
	// What is left of a Flux that is gone may be taken over.
	namespace := definition.Labels[flux.LabelInstance]
	if namespace == "" || namespace == i.namespace() || managedresource.CameFrom(definition, i.request.Namespace) {
		return nil
	}
	if other, err = i.removal().OtherController(ctx, namespace); err != nil {
		return err
	} else if other != nil {
		i.addOther(other)
		return nil
	}
	return i.checkKeeper(ctx, "CustomResourceDefinition "+definition.Name, definition.Labels)
}

func (i *inspection) removal() removal.Removal {
	return removal.Removal{Shoot: i.shoot, Namespace: i.namespace()}
}

// namespace is where Flux is to be installed.
func (i *inspection) namespace() string {
	return cmp.Or(i.request.FluxNamespace, flux.Namespace)
}

func (i *inspection) addOther(deployment *metav1.PartialObjectMetadata) {
	i.conflict.namespace = deployment.Namespace
	i.conflict.add(ofAnotherFlux, fmt.Sprintf("Flux is installed in namespace %s (Deployment %s), and a second one would work on the same objects",
		deployment.Namespace, nameOf(client.ObjectKeyFromObject(deployment))))
}
