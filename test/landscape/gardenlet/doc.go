// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package gardenlet is a small stand-in for gardenlet. For each Shoot in the garden cluster it does in the seed cluster, in gardenlet's
// order, what an extension can notice: the shoot's namespace with its labels, the Cluster resource, the secrets, the deployment of
// gardener-resource-manager, the Extension resources at the time that their lifecycle names, waiting for them, and all that backwards when
// the Shoot is deleted, leaves for another seed, or is given up. It reports back to the Shoot's status: last operation, last errors,
// conditions.
//
// Wherever Gardener's own code can be used, it is: botanist and its components, the flow library, the secrets manager, the health checker.
// The order of the tasks and their names are those of gardenlet's flows at v1.150.0 (pkg/gardenlet/controller/shoot/shoot of
// github.com/gardener/gardener). Left out is everything about infrastructure, networking, DNS, backups and observability.
//
// A Deployment of gardener-resource-manager is run as a process, as the ServiceAccount and with the volumes, arguments and configuration
// that it has in the cluster after all webhooks. See [Gardenlet] for what is different.
package gardenlet
