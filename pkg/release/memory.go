// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"sync"
	"time"

	"k8s.io/utils/lru"
)

// maxFailures bounds the failures that are remembered. One more makes the oldest be asked for again.
const maxFailures = 1000

// memory has the releases that were rendered, and what recently failed, by version. Anybody can ask for any version, so
// that it holds only so many. The embedded releases are few, and stay.
type memory struct {
	mutex    sync.Mutex
	embedded map[string]*Release
	// others has a *Release, and failures a remembered, by version.
	others, failures *lru.Cache
	// bytes is the size of all releases in it, and taken how many of those that ever were in it came over the network.
	bytes, taken int64
}

type remembered struct {
	err     error
	expires time.Time
}

func newMemory(maxReleases int) *memory {
	m := &memory{embedded: map[string]*Release{}, failures: lru.New(maxFailures)}
	m.others = lru.NewWithEvictionFunc(maxReleases, func(_ lru.Key, value any) {
		m.bytes -= int64(len(value.(*Release).Manifests))
	})
	return m
}

// find returns a release, or a failure that has not expired, or nothing.
func (m *memory) find(version string, now time.Time) (*Release, error) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if release, ok := m.embedded[version]; ok {
		return release, nil
	}
	if release, ok := m.others.Get(version); ok {
		return release.(*Release), nil
	}
	if failed, ok := m.failures.Get(version); ok && now.Before(failed.(remembered).expires) {
		return nil, failed.(remembered).err
	}
	return nil, nil
}

func (m *memory) keep(release *Release) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.failures.Remove(release.Version)
	m.others.Remove(release.Version)
	if release.Origin == OriginEmbedded {
		m.embedded[release.Version] = release
	} else {
		m.others.Add(release.Version, release)
	}
	if release.Origin == OriginOCI || release.Origin == OriginDownloaded {
		m.taken++
	}
	m.bytes += int64(len(release.Manifests))
}

func (m *memory) keepFailure(version string, err error, expires time.Time) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.others.Remove(version)
	m.failures.Add(version, remembered{err, expires})
}

// count returns what the memory knows of the Stats.
func (m *memory) count() Stats {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return Stats{Downloads: m.taken, Kept: int64(len(m.embedded) + m.others.Len()), KeptBytes: m.bytes}
}
