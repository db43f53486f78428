// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package fluxready

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/schema"

	extensionsv1alpha1 "github.com/gardener/gardener/pkg/apis/extensions/v1alpha1"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/readiness"
)

// memory is what is known of the shoots besides what their Extensions say. It is small, may be lost, and is safe for concurrent use.
type memory struct {
	mutex  sync.Mutex
	shoots map[string]*shootMemory
}

// shootMemory is what is known of a shoot.
type shootMemory struct {
	// unwritten is what was seen but could not be written, at the time untoldAt, when the Extension said untoldOf besides.
	unwritten *readiness.Readiness
	untoldAt  time.Time
	untoldOf  string
	// unanswered counts how often in a row the shoot gave no answer.
	unanswered int
	// controllersAt is when somebody last looked at Flux's controllers.
	controllersAt time.Time
	// versions are the API versions in which Flux's kinds were found last.
	versions map[schema.GroupKind]string
	// presented is the host key that the Git server presents, of the address url, at the time presentedAt.
	presented, url string
	presentedAt    time.Time
}

// keepUnwritten keeps what was seen but could not be written into an Extension that said something else then.
func (m *memory) keepUnwritten(namespace string, now readiness.Readiness, said string) {
	m.with(namespace, func(known *shootMemory) { known.unwritten, known.untoldAt, known.untoldOf = &now, time.Now(), said })
}

// saidOf is what others say in an Extension of what they have done.
func saidOf(ex *extensionsv1alpha1.Extension) string {
	said := ""
	if ex.Status.ProviderStatus != nil {
		said = string(ex.Status.ProviderStatus.Raw)
	}
	return fmt.Sprint(said, stateOf(ex))
}

// takeUnwritten returns what was seen a moment ago but could not be written, or nil. It no longer counts if somebody has done something since.
func (m *memory) takeUnwritten(ex *extensionsv1alpha1.Extension) *readiness.Readiness {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	known := m.shoots[ex.Namespace]
	if known == nil || known.unwritten == nil {
		return nil
	}
	unwritten := known.unwritten
	known.unwritten = nil
	if time.Since(known.untoldAt) > 2*conflictDelay || known.untoldOf != saidOf(ex) {
		return nil
	}
	return unwritten
}

// with lets do read and change what is known of the shoot with the given namespace in the seed.
func (m *memory) with(namespace string, do func(*shootMemory)) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.shoots == nil {
		m.shoots = map[string]*shootMemory{}
	}
	known, ok := m.shoots[namespace]
	if !ok {
		// After a start, not all shoots have their turn at the same time.
		known = &shootMemory{controllersAt: time.Now().Add(-rand.N(controllersInterval))}
		m.shoots[namespace] = known
	}
	do(known)
}

// setVersion notes in which API version a kind was found.
func (k *shootMemory) setVersion(kind schema.GroupKind, version string) {
	if k.versions == nil {
		k.versions = map[schema.GroupKind]string{}
	}
	k.versions[kind] = version
}

// version is the API version in which a kind was found last, or nothing.
func (m *memory) version(namespace string, kind schema.GroupKind) string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if known := m.shoots[namespace]; known != nil {
		return known.versions[kind]
	}
	return ""
}

// knows tells whether there is something to remember of the shoot.
func (m *memory) knows(namespace string) bool {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	return m.shoots[namespace] != nil
}

func (m *memory) forget(namespace string) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	delete(m.shoots, namespace)
}

// unanswered tells how often in a row the shoot has given no answer.
func (m *memory) unanswered(namespace string) int {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if known := m.shoots[namespace]; known != nil {
		return known.unanswered
	}
	return 0
}

// presented is the host key that the shoot's Git server presents, or nothing if nobody has asked or the server is being asked.
func (m *memory) presented(namespace string) string {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if known := m.shoots[namespace]; known != nil {
		return known.presented
	}
	return ""
}
