// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package removal

import (
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

// What an installation consists of is known from what the extension applied. But Flux's users may have added to it, or installed
// all of it themselves. That has the labels of an installation, which anybody can put on anything, so that they count only on
// what can't hold data of somebody else. Outside of Flux's namespace that is what has a name of an installation, so that nobody chooses how
// much there is to be looked at.

// installed are the labels of everything that `flux install` makes.
func (r Removal) installed() client.MatchingLabels {
	return flux.InstallationLabels(r.Namespace)
}

// installation is what `flux install` makes outside of its namespace.
func (r Removal) installation() []corev1.ObjectReference {
	return slices.Concat(
		references(rbacv1.SchemeGroupVersion.WithKind("ClusterRoleBinding"), flux.ClusterRoleBindings(r.Namespace)...),
		references(rbacv1.SchemeGroupVersion.WithKind("ClusterRole"), flux.ClusterRoles(r.Namespace)...),
		references(definitionKind, flux.Definitions()...),
	)
}

// runningKinds are the kinds of what tells, in the namespace of Flux, what runs, and holds nothing.
var runningKinds = []schema.GroupVersionKind{
	deploymentKind,
	corev1.SchemeGroupVersion.WithKind("Service"),
	corev1.SchemeGroupVersion.WithKind("ServiceAccount"),
	corev1.SchemeGroupVersion.WithKind("ResourceQuota"),
	networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy"),
}

var (
	definitionKind = apiextensionsv1.SchemeGroupVersion.WithKind("CustomResourceDefinition")
	secretKind     = corev1.SchemeGroupVersion.WithKind("Secret")
	deploymentKind = appsv1.SchemeGroupVersion.WithKind("Deployment")
)

func references(gvk schema.GroupVersionKind, names ...string) []corev1.ObjectReference {
	var references []corev1.ObjectReference
	for _, name := range names {
		references = append(references, corev1.ObjectReference{APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: name})
	}
	return references
}

// isInstalled tells whether an object has the labels of an installation.
func (r Removal) isInstalled(object metav1.Object) bool {
	return labels.SelectorFromSet(labels.Set(r.installed())).Matches(labels.Set(object.GetLabels()))
}
