// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

// Stats tells what a Catalogue has done since it was made, and how much it holds.
type Stats struct {
	// Renders is how many releases were rendered by Kustomize.
	Renders int64
	// Downloads is how many releases were taken from the OCI repository or from the release server.
	Downloads int64
	// LookUps is how many times it was asked which releases there are, over the network.
	LookUps int64
	// KeptBytes is the size of the manifests in memory, in bytes.
	KeptBytes int64
}

// Stats returns a snapshot.
func (c *Catalogue) Stats() Stats {
	downloads, bytes := c.memory.count()
	return Stats{
		Renders:   c.renderer.renders.Load(),
		Downloads: downloads,
		LookUps:   c.lookUps.Load(),
		KeptBytes: bytes,
	}
}
