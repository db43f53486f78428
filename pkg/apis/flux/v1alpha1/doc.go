// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package v1alpha1 is version v1alpha1 of the API group flux.extensions.gardener.cloud: what the extension says in the
// Extension resources of type shoot-flux.
//
// +kubebuilder:object:generate=true
// +groupName=flux.extensions.gardener.cloud
package v1alpha1
