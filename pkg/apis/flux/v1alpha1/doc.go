// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is version v1alpha1 of the API group flux.extensions.gardener.cloud: what owners of shoots write for
// extensions of type shoot-flux, and what the extension says in its Extension resources.
//
// +kubebuilder:object:generate=true
// +groupName=flux.extensions.gardener.cloud
package v1alpha1
