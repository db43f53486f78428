// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package fleet measures what many shoots on one seed cost: time, requests, written bytes, processor time and memory of the extension.
//
// The extension runs as the program that it is in production, with the chart's arguments, between real kube-apiservers: a garden, a seed, and one
// that stands in for the API servers of all shoots, behind a proxy that tells the shoots apart (shootProxy). What Gardener does around the
// extension is played by this process as cheaply as possible, because it shares the processors with what it measures: gardenlet (shoots) and
// the resource managers of the shoots (resourceManagers).
//
// Times are compared with the bare writes of the same objects by a plain client on the same servers (bareWriter), so that they mean the same on
// each machine. Requests are counted where they arrive: in the audit logs of garden and seed, and in the proxy.
package fleet
