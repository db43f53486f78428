// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package controlplane is the webhook that lets a shoot's gardener-resource-manager manage the namespaces of Flux.
package controlplane

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"
	"time"

	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/validation"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"

	extensionswebhook "github.com/gardener/gardener/extensions/pkg/webhook"
	v1beta1constants "github.com/gardener/gardener/pkg/apis/core/v1beta1/constants"
	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	fluxv1alpha1 "github.com/23technologies/gardener-extension-shoot-flux/pkg/apis/flux/v1alpha1"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/resourcemanager"
)

const (
	// Name is the name of the webhook, by which it can be disabled.
	Name = "controlplane"

	// timeoutSeconds is how long an unreachable extension can delay a shoot's control plane.
	timeoutSeconds = 5
	// patience is how long cache and garden have to answer.
	patience = 3 * time.Second
	// maxKept bounds the namespaces that are kept without an answer: each that a shoot's owner writes meanwhile is added.
	maxKept = 8
)

// New creates the webhook for the extension of the given type. It is called for the gardener-resource-manager of shoots
// that have the extension, and never blocks one: while the extension is down, the Deployment passes unchanged.
// gardenerVersion counts where the image of gardener-resource-manager tells no version; it may be empty. configured is asked about new shoots.
func New(mgr manager.Manager, extensionType, gardenerVersion string, configured Configured) (*extensionswebhook.Webhook, error) {
	types := []extensionswebhook.Type{{Obj: &appsv1.Deployment{}}}
	mutator := Mutator{Seed: mgr.GetClient(), Type: extensionType, GardenerVersion: gardenerVersion, Configured: configured}
	handler, err := extensionswebhook.NewBuilder(mgr, mgr.GetLogger().WithName(Name)).WithMutator(mutator, types...).Build()
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

// Configured returns what is written for the shoot with a namespace in the seed.
type Configured func(ctx context.Context, namespace string) (*fluxv1alpha1.FluxConfig, error)

// Mutator adds the namespaces in which a shoot has something of Flux to those that its gardener-resource-manager manages, and leaves other
// objects alone.
type Mutator struct {
	// Seed is a client of the seed that caches Extensions.
	Seed client.Reader
	// Type is the type of the Extensions.
	Type string
	// GardenerVersion counts where the image of gardener-resource-manager tells no version; it may be empty.
	GardenerVersion string
	// Configured is asked as long as a shoot has nothing of Flux: gardenlet makes its gardener-resource-manager before its Extension.
	Configured Configured
}

// Mutate changes newObj if it is the Deployment of a gardener-resource-manager, which may replace oldObj. It never returns an error.
func (m Mutator) Mutate(ctx context.Context, newObj, oldObj client.Object) error {
	deployment, ok := newObj.(*appsv1.Deployment)
	if ok && deployment.Name == resourcemanager.DeploymentName && deployment.DeletionTimestamp == nil {
		var before []string
		if old, ok := oldObj.(*appsv1.Deployment); ok {
			before = resourcemanager.Namespaces(old)
			before = before[:min(len(before), maxKept)]
		}
		resourcemanager.AddNamespaces(deployment, m.GardenerVersion, m.namespaces(ctx, deployment.Namespace, before)...)
	}
	return nil
}

// namespaces returns the namespaces in which the shoot with a namespace in the seed has something of Flux: as it says that it has, and as its
// owner has written; or, as long as it has nothing, as all who configure it have written. If that can't be found out, they are those before, and those
// that its owner has written. They are always in the same order: another one would restart gardener-resource-manager.
func (m Mutator) namespaces(ctx context.Context, namespace string, before []string) []string {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ex := &extensionsv1alpha1.Extension{}
	if err := m.Seed.Get(ctx, client.ObjectKey{Namespace: namespace, Name: m.Type}, ex); client.IgnoreNotFound(err) != nil {
		log.FromContext(ctx).Error(err, "Nobody knows which namespaces of the shoot are Flux's", "namespace", namespace)
		if len(before) > 0 {
			return before
		}
		return []string{flux.Namespace}
	}
	candidates, written := installedNamespaces(ex), namespacesIn(ex.Spec.ProviderConfig)
	if candidates == nil {
		if configured, err := m.configuredNamespaces(ctx, namespace); err == nil {
			written, before = configured, nil
		}
		candidates = append(slices.Clip(before), written.Flux.Namespace)
		if len(before) == 0 {
			candidates = []string{cmp.Or(written.Flux.Namespace, flux.Namespace)}
		}
	}
	var namespaces []string
	for _, candidate := range append(candidates, written.Source.Template.Metadata.Namespace, written.Kustomization.Template.Metadata.Namespace) {
		if !slices.Contains(namespaces, candidate) && len(validation.IsDNS1123Label(candidate)) == 0 {
			namespaces = append(namespaces, candidate)
		}
	}
	return namespaces
}

// installedNamespaces are those of what the shoot has of Flux, that of Flux first, or nil if it has nothing. A shoot that has just come from another seed
// has no status yet, but what it has is noted.
func installedNamespaces(ex *extensionsv1alpha1.Extension) []string {
	status := fluxv1alpha1.StatusOf(ex)
	if status.Version != "" || status.Namespace != "" || len(status.OtherNamespaces) > 0 {
		return append([]string{cmp.Or(status.Namespace, flux.Namespace)}, status.OtherNamespaces...)
	}
	state, err := fluxv1alpha1.StateOf(ex) // the reconciliation says what is wrong with it
	if err != nil || state.FluxVersion == "" {
		return nil
	}
	installed := cmp.Or(state.Namespace, flux.Namespace)
	return []string{installed, flux.KeyOf(state.Source, installed).Namespace, flux.KeyOf(state.Kustomization, installed).Namespace}
}

// configuredNamespaces are those that all who configure a shoot have written. The reconciliation that follows says why that can't be found out, and
// tries again.
func (m Mutator) configuredNamespaces(ctx context.Context, namespace string) (writtenNamespaces, error) {
	config, err := m.Configured(ctx, namespace)
	if err != nil {
		log.FromContext(ctx).Info("What is configured for a new shoot can't be found out, so that its gardener-resource-manager may not manage all namespaces of Flux yet",
			"namespace", namespace, "reason", err.Error())
		return writtenNamespaces{}, err
	}
	raw, err := json.Marshal(config)
	return namespacesIn(&runtime.RawExtension{Raw: raw}), err
}

// template is where a template of a FluxConfig names its namespace.
type template struct {
	Template struct {
		Metadata struct {
			Namespace string `json:"namespace"`
		} `json:"metadata"`
	} `json:"template"`
}

// writtenNamespaces is where a FluxConfig names namespaces. Whether all of it is valid is nobody's business here.
type writtenNamespaces struct {
	Flux struct {
		Namespace string `json:"namespace"`
	} `json:"flux"`
	Source        template `json:"source"`
	Kustomization template `json:"kustomization"`
}

func namespacesIn(providerConfig *runtime.RawExtension) writtenNamespaces {
	var written writtenNamespaces
	if providerConfig == nil || json.Unmarshal(providerConfig.Raw, &written) != nil {
		return writtenNamespaces{}
	}
	return written
}
