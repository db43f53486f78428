// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package release

import (
	"sync"
	"time"

	utilcache "k8s.io/apimachinery/pkg/util/cache"
	"k8s.io/utils/lru"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/embedded"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/oci"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/server"
)

// maxFailures bounds the failures that are remembered. One more makes the oldest be asked for again.
const maxFailures = 1000

// cache has the releases that were fetched, and what recently failed, by version. Anybody can ask for any version, so
// that it holds only so many. The embedded releases are few, and stay.
type cache struct {
	mutex    sync.Mutex
	embedded map[string]*Release
	// others has a *Release, and failures an error, by version.
	others   *lru.Cache
	failures *utilcache.LRUExpireCache
	// Its counters only ever grow, which a difference between two of them would not.
	stats Stats
}

func newCache(options Options) *cache {
	c := &cache{embedded: map[string]*Release{}, failures: utilcache.NewLRUExpireCacheWithClock(maxFailures, options.clock)}
	c.others = lru.NewWithEvictionFunc(options.MaxReleases, func(_ lru.Key, value any) {
		c.stats.KeptBytes -= value.(*Release).size()
	})
	return c
}

// find returns a release, or a failure that has not expired, or nothing.
func (c *cache) find(tag string) (*Release, error) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if found, ok := c.embedded[tag]; ok {
		return found, nil
	}
	if found, ok := c.others.Get(tag); ok {
		return found.(*Release), nil
	}
	if err, ok := c.failures.Get(tag); ok {
		return nil, err.(error)
	}
	return nil, nil
}

func (c *cache) keep(found *Release) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.failures.Remove(found.Version)
	c.others.Remove(found.Version)
	if found.Origin == embedded.Origin {
		c.embedded[found.Version] = found
	} else {
		c.others.Add(found.Version, found)
	}
	c.stats.KeptBytes += found.size()
	if found.Origin == embedded.Origin || found.Origin == server.Origin {
		c.stats.Renders++
	}
	if found.Origin == oci.Origin || found.Origin == server.Origin {
		c.stats.Downloads++
	}
}

func (c *cache) keepFailure(tag string, err error, duration time.Duration) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.others.Remove(tag)
	c.failures.Add(tag, err, duration)
}

// count changes counters, and returns all of them.
func (c *cache) count(change func(*Stats)) Stats {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	change(&c.stats)
	c.stats.Kept = int64(len(c.embedded) + c.others.Len())
	return c.stats
}
