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
	// FailedDownloads is how many times one of the two gave no answer, or one that is not used. That a release does not
	// exist is an answer.
	FailedDownloads int64
	// LookUps is how many times it was asked which releases there are, over the network.
	LookUps int64
	// FailedLookUps is how many of them got no usable answer.
	FailedLookUps int64
	// Kept is how many releases are in memory.
	Kept int64
	// KeptBytes is the size of the manifests in memory, in bytes.
	KeptBytes int64
}

// Stats returns a snapshot.
func (c *Catalogue) Stats() Stats {
	stats := c.memory.count()
	stats.Renders = c.renderer.renders.Load()
	stats.FailedDownloads = c.failedDownloads.Load()
	stats.FailedLookUps = c.failedLookUps.Load()
	stats.LookUps = c.answeredLookUps.Load() + stats.FailedLookUps
	return stats
}
