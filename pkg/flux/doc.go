// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package flux says what Flux calls its things: namespace and names of an installation, its labels, controllers, finalizers and
// CustomResourceDefinitions, and which kinds of sources there are. Everything else that deals with Flux's objects in a shoot takes them
// from here. The package does no I/O.
package flux
