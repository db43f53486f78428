// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

// Stats tells what a Keeper has done since it was made.
type Stats struct {
	// KeyPairs is how many key pairs it has made for projects.
	KeyPairs int64
	// HostKeyScans is how many times it asked a Git server for its host key.
	HostKeyScans int64
	// FailedHostKeyScans is how many of them got no host key. Those that are not allowed count, too.
	FailedHostKeyScans int64
}

// Stats returns a snapshot.
func (k *Keeper) Stats() Stats {
	failed := k.scanner.failedScans.Load()
	return Stats{KeyPairs: k.keyPairs.Load(), HostKeyScans: k.scanner.answeredScans.Load() + failed, FailedHostKeyScans: failed}
}
