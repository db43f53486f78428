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
	resourcesv1alpha1 "github.com/gardener/gardener/pkg/apis/resources/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/managedresource"
)

// missedChanges are the Extensions that did not get a change of their project's configuration or Secret, because they could not be
// reconciled when it came. After a restart, the watches find them again. It is safe for concurrent use.
type missedChanges struct {
	mutex sync.Mutex
	// digests are of the configurations that the Extensions should have.
	digests map[client.ObjectKey][]string
	// sources are the versions of the Secret that they should have.
	sources map[client.ObjectKey]string
}

func newMissedChanges() *missedChanges {
	return &missedChanges{digests: map[client.ObjectKey][]string{}, sources: map[client.ObjectKey]string{}}
}

func (m *missedChanges) add(ex client.ObjectKey, digests []string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.digests[ex] = digests
}

func (m *missedChanges) addSource(ex client.ObjectKey, version string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	m.sources[ex] = version
}

func (m *missedChanges) has(ex client.ObjectKey) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	_, configuration := m.digests[ex]
	_, source := m.sources[ex]
	return configuration || source
}

// forget is for an Extension that has the configuration, or gets it now.
func (m *missedChanges) forget(ex client.ObjectKey) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.digests, ex)
}

// forgetSource is for an Extension that has the Secret, or gets it now.
func (m *missedChanges) forgetSource(ex client.ObjectKey) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.sources, ex)
}

// forgetAll is for an Extension that is gone.
func (m *missedChanges) forgetAll(ex client.ObjectKey) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.digests, ex)
	delete(m.sources, ex)
}

// take forgets an Extension, and tells whether it still does not have what it missed: gardenlet may have asked for it meanwhile.
func (m *missedChanges) take(ctx context.Context, seed client.Reader, ex *extensionsv1alpha1.Extension) (bool, error) {
	key := client.ObjectKeyFromObject(ex)
	m.mutex.Lock()
	digests, missedConfiguration := m.digests[key]
	version, missedSource := m.sources[key]
	m.mutex.Unlock()
	outdated := false
	if missedConfiguration {
		current, err := isCurrent(ctx, seed, ex, digests)
		if err != nil {
			return false, err
		}
		outdated = !current
	}
	if missedSource {
		configuration, err := managedresource.Get(ctx, seed, ex.Namespace, managedresource.Configuration)
		if err != nil {
			return false, err
		}
		outdated = outdated || hasOtherSource(configuration, version)
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if slices.Equal(m.digests[key], digests) {
		delete(m.digests, key)
	}
	if m.sources[key] == version {
		delete(m.sources, key)
	}
	return outdated, nil
}

// hasOtherSource tells whether a ManagedResource, which may be nil, has credentials of another version of the Secret, or nobody knows of which.
func hasOtherSource(configuration *resourcesv1alpha1.ManagedResource, version string) bool {
	if configuration == nil {
		return false
	}
	has, known := configuration.Labels[managedresource.SourceVersionLabel]
	return !known || has != "" && has != version
}
