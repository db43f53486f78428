// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package flux

import (
	"cmp"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/types"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
)

const (
	// Namespace is the namespace of a shoot in which Flux is installed, as by `flux bootstrap`.
	Namespace = "flux-system"
	// Name is the name of the source and of the Kustomization that `flux bootstrap` makes.
	Name = "flux-system"
)

// Labels of everything that `flux install` makes, pods included, in every release (pkg/manifestgen/install/templates.go of Flux). Only
// LabelComponent is newer: releases before v0.33.0 don't have it.
const (
	LabelPartOf    = "app.kubernetes.io/part-of"
	LabelInstance  = "app.kubernetes.io/instance"
	LabelVersion   = "app.kubernetes.io/version"
	LabelComponent = "app.kubernetes.io/component"

	// PartOf is the value of LabelPartOf.
	PartOf = "flux"
	// LabelApp is on the pods of a controller, with the controller's name (manifests/bases of Flux).
	LabelApp = "app"
)

// KeyOf reads <namespace>/<name> of a source or a Kustomization. Without text, it is the usual one in the namespace of Flux.
func KeyOf(text, namespace string) types.NamespacedName {
	if of, name, ok := strings.Cut(text, "/"); ok {
		return types.NamespacedName{Namespace: of, Name: name}
	}
	return types.NamespacedName{Namespace: cmp.Or(namespace, Namespace), Name: Name}
}

// TextOf is what KeyOf reads.
func TextOf(key types.NamespacedName, namespace string) string {
	if key == KeyOf("", namespace) {
		return ""
	}
	return key.String()
}

// InstallationLabels returns the labels that everything has which `flux install` makes for an installation in a namespace.
func InstallationLabels(namespace string) map[string]string {
	return map[string]string{LabelPartOf: PartOf, LabelInstance: namespace}
}

// Controllers without which nothing is applied.
const (
	SourceController    = "source-controller"
	KustomizeController = "kustomize-controller"
	// NotificationController and SourceWatcher are components that others get an argument for.
	NotificationController = "notification-controller"
	SourceWatcher          = "source-watcher"
)

// controllers are the Deployments of all releases, first those that `flux install` installs if it is not told which.
var controllers = []string{
	SourceController, KustomizeController, "helm-controller", NotificationController, "image-reflector-controller", "image-automation-controller", SourceWatcher,
}

// Components returns the names of all controllers of Flux.
func Components() []string { return slices.Clone(controllers) }

// DefaultComponents returns the controllers that `flux install` installs if it is not told which.
func DefaultComponents() []string { return slices.Clone(controllers[:4]) }

// IsController tells whether a Deployment is a controller of Flux, by its label or its name. A shard of a controller has a suffix.
func IsController(name string, labels map[string]string) bool {
	return slices.ContainsFunc(controllers, func(controller string) bool {
		return labels[LabelComponent] == controller || name == controller || strings.HasPrefix(name, controller+"-")
	})
}

// IsFinalizer tells whether a finalizer is one of Flux's controllers, in any release.
func IsFinalizer(name string) bool {
	switch name {
	case kustomizev1.KustomizationFinalizer, // all controllers of the toolkit have the same
		"source.extensions.fluxcd.io/finalizer": // source-watcher (api/v1beta1/artifactgenerator_types.go)
		return true
	}
	return false
}

// Definitions returns the names of the CustomResourceDefinitions that Flux has had in any release (config/crd/bases of its controllers).
func Definitions() []string {
	return []string{
		"alerts.notification.toolkit.fluxcd.io",
		"artifactgenerators.source.extensions.fluxcd.io",
		"buckets.source.toolkit.fluxcd.io",
		"externalartifacts.source.toolkit.fluxcd.io",
		"gitrepositories.source.toolkit.fluxcd.io",
		"helmcharts.source.toolkit.fluxcd.io",
		"helmreleases.helm.toolkit.fluxcd.io",
		"helmrepositories.source.toolkit.fluxcd.io",
		"imagepolicies.image.toolkit.fluxcd.io",
		"imagerepositories.image.toolkit.fluxcd.io",
		"imageupdateautomations.image.toolkit.fluxcd.io",
		"kustomizations.kustomize.toolkit.fluxcd.io",
		"ocirepositories.source.toolkit.fluxcd.io",
		"providers.notification.toolkit.fluxcd.io",
		"receivers.notification.toolkit.fluxcd.io",
	}
}

// ClusterRoles returns the names of those that `flux install` makes for an installation in a namespace (manifests/rbac of Flux).
func ClusterRoles(namespace string) []string {
	return []string{"crd-controller-" + namespace, "flux-edit-" + namespace, "flux-view-" + namespace}
}

// ClusterRoleBindings returns the names of those that `flux install` makes for an installation in a namespace (manifests/rbac of Flux).
func ClusterRoleBindings(namespace string) []string {
	return []string{"crd-controller-" + namespace, "cluster-reconciler-" + namespace}
}
