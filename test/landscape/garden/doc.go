// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package garden makes a Kubernetes control plane a garden: gardener-apiserver behind its aggregator, gardener-admission-controller with its
// authorizers and webhooks, gardener-controller-manager and gardener-scheduler, all as real programs with the identities, rights and
// registrations that gardener-operator gives them. It also creates what an operator of Gardener creates in a new garden.
package garden
