// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package workload runs a pod as a process of this machine. It does the part of a kubelet that a controller notices: the files of its
// volumes (Secrets, ConfigMaps, a token of its ServiceAccount that is renewed in time), its environment and its arguments, with mount
// paths translated to where the files are.
//
// A Deployment has as many processes as replicas. If it is told where images are, it also does the part of a container runtime: the program is
// the one in the image, in a root directory that has the image's files and the volumes, as the user of the image or of the pod, with the
// environment of both. All share this machine's network, so each port is another one than the pod says; a [Service] is the address of all.
// What is not there: namespaces of the kernel but for the user's, limits of resources, seccomp, /proc and /dev, and probes after the first.
package workload
