// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package workload runs a pod as a process of this machine. It does the part of a kubelet that a controller notices: the files of its
// volumes (Secrets, ConfigMaps, a token of its ServiceAccount that is renewed in time), its environment and its arguments, with mount
// paths translated to where the files are.
package workload
