// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package controlplane is the webhook that lets a shoot's gardener-resource-manager manage the namespace of Flux.
package controlplane

import (
	"context"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/resourcemanager"
)

const (
	// Name is the name of the webhook, by which it can be disabled.
	Name = "controlplane"

	// timeoutSeconds is how long an unreachable extension can delay a shoot's control plane.
	timeoutSeconds = 5
)

// New creates the webhook for the extension of the given type. It is called for the gardener-resource-manager of shoots
// that have the extension, and never blocks one: while the extension is down, the Deployment passes unchanged.
// gardenerVersion counts where the image of gardener-resource-manager tells no version; it may be empty.
func New(mgr manager.Manager, extensionType, gardenerVersion string) (*extensionswebhook.Webhook, error) {
	types := []extensionswebhook.Type{{Obj: &appsv1.Deployment{}}}
	handler, err := extensionswebhook.NewBuilder(mgr, mgr.GetLogger().WithName(Name)).WithMutator(Mutator(gardenerVersion), types...).Build()
	if err != nil {
		return nil, err
	}

	return &extensionswebhook.Webhook{
		Name:              Name,
		Path:              "/" + Name,
		Action:            extensionswebhook.ActionMutating,
		Target:            extensionswebhook.TargetSeed,
		Types:             types,
		Webhook:           &admission.Webhook{Handler: handler, RecoverPanic: new(true)},
		NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{v1beta1constants.LabelExtensionPrefix + extensionType: "true"}},
		ObjectSelector:    &metav1.LabelSelector{MatchLabels: map[string]string{v1beta1constants.LabelApp: resourcemanager.DeploymentName}},
		FailurePolicy:     new(admissionregistrationv1.Ignore),
		TimeoutSeconds:    new(int32(timeoutSeconds)),
	}, nil
}

// Mutator adds the namespace of Flux to those that a gardener-resource-manager manages, and leaves other objects alone.
type Mutator string

// Mutate changes newObj if it is the Deployment of a gardener-resource-manager. It never returns an error.
func (gardenerVersion Mutator) Mutate(_ context.Context, newObj, _ client.Object) error {
	deployment, ok := newObj.(*appsv1.Deployment)
	if ok && deployment.Name == resourcemanager.DeploymentName && deployment.DeletionTimestamp == nil {
		resourcemanager.AddNamespace(deployment, string(gardenerVersion))
	}
	return nil
}
