// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"context"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/render"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/shoot"
)

// What an installation consists of is known from what the extension applied. But Flux's users may have added to it, or installed
// all of it themselves. That has the labels of an installation, which anybody can put on anything, so that they count only on
// what can't hold data of somebody else.

// installed are the labels of everything that `flux install` makes, pods included, in every release
// (pkg/manifestgen/install/templates.go of Flux).
var installed = client.MatchingLabels{
	"app.kubernetes.io/part-of":  "flux",
	"app.kubernetes.io/instance": render.Namespace,
}

// groups are the API groups of all CustomResourceDefinitions that Flux has had (config/crd/bases of its controllers).
var groups = sets.New(
	"source.toolkit.fluxcd.io", "kustomize.toolkit.fluxcd.io", "helm.toolkit.fluxcd.io", "notification.toolkit.fluxcd.io", "image.toolkit.fluxcd.io",
	"source.extensions.fluxcd.io",
)

// clusterRoles are those of `flux install` (manifests/rbac of Flux), and clusterRoleBindings their bindings.
var (
	clusterRoles        = sets.New("crd-controller-"+render.Namespace, "flux-edit-"+render.Namespace, "flux-view-"+render.Namespace)
	clusterRoleBindings = sets.New("crd-controller-"+render.Namespace, "cluster-reconciler-"+render.Namespace)
)

// labelledKinds are the kinds of which what has the labels belongs to an installation, if isOurs says so. The labels do for those in
// the namespace of Flux, which tell what runs, and hold nothing.
var labelledKinds = []struct {
	schema.GroupVersionKind
	namespace string
	isOurs    func(name string) bool
}{
	{rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"), "", clusterRoleBindings.Has},
	{rbacv1.SchemeGroupVersion.WithKind("ClusterRole"), "", clusterRoles.Has},
	{definitionKind, "", isDefinition},
	{deploymentKind, render.Namespace, everything},
	{corev1.SchemeGroupVersion.WithKind("Service"), render.Namespace, everything},
	{corev1.SchemeGroupVersion.WithKind("ServiceAccount"), render.Namespace, everything},
	{corev1.SchemeGroupVersion.WithKind("ResourceQuota"), render.Namespace, everything},
	{networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"), render.Namespace, everything},
}

var (
	definitionKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")
	deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")
)

// isDefinition tells whether a CustomResourceDefinition is of a kind of Flux. Its name is <plural>.<group>.
func isDefinition(name string) bool {
	_, group, _ := strings.Cut(name, ".")
	return groups.Has(group)
}

func everything(string) bool { return true }

// listLabelled visits what the labels tell of an installation, of a kind.
func listLabelled(ctx context.Context, c client.Reader, gvk schema.GroupVersionKind, visit func(*metav1.PartialObjectMetadata) error) error {
	for _, kind := range labelledKinds {
		if kind.GroupVersionKind != gvk {
			continue
		}
		return shoot.List(ctx, c, gvk, func(object *metav1.PartialObjectMetadata) (bool, error) {
			if !kind.isOurs(object.Name) {
				return true, nil
			}
			return true, visit(object)
		}, installed, client.InNamespace(kind.namespace))
	}
	return nil
}
