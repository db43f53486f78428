// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package lifecycle

import (
	"context"
	"slices"
	"sync"

	"sigs.k8s.io/controller-runtime/pkg/client"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"
)

// missedChanges are the Extensions that did not get a change of their project's configuration, because they could not be
// reconciled when it came. After a restart, configurationWatch finds them again. It is safe for concurrent use.
type missedChanges struct {
	mutex sync.Mutex
	// digests are of the configurations that the Extensions should have.
	digests map[client.ObjectKey][]string
}

func newMissedChanges() *missedChanges {
	return &missedChanges{digests: map[client.ObjectKey][]string{}}
}

func (m *missedChanges) add(ex client.ObjectKey, digests []string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.digests[ex] = digests
}

func (m *missedChanges) has(ex client.ObjectKey) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	_, ok := m.digests[ex]
	return ok
}

func (m *missedChanges) forget(ex client.ObjectKey) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.digests, ex)
}

// take forgets an Extension, and tells whether it still does not have what it missed: gardenlet may have asked for it meanwhile.
func (m *missedChanges) take(ctx context.Context, seed client.Reader, ex *extensionsv1alpha1.Extension) (bool, error) {
	key := client.ObjectKeyFromObject(ex)
	m.mutex.Lock()
	digests, ok := m.digests[key]
	m.mutex.Unlock()
	if !ok {
		return false, nil
	}
	current, err := isCurrent(ctx, seed, ex, digests)
	if err != nil {
		return false, err
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if slices.Equal(m.digests[key], digests) {
		delete(m.digests, key)
	}
	return !current, nil
}
