// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package garden gives access to the garden cluster, in which project admins configure Flux.
package garden

import (
	"context"

	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Access is a way into the garden.
type Access interface {
	// Client returns a client of the garden that doesn't cache, valid for the current credentials: callers ask for it each
	// time they need it. The error says where credentials were looked for and what to do.
	Client(ctx context.Context) (client.Client, error)
}
