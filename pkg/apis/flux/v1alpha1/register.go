// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the group and version of this package's types.
var GroupVersion = schema.GroupVersion{Group: "flux.extensions.gardener.cloud", Version: "v1alpha1"}

// AddToScheme adds this package's types to a scheme, with which they can be decoded.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &FluxConfig{}, &FluxStatus{}, &FluxState{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
