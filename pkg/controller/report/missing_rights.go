// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package report

import (
	"errors"
	"sync"

	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// missingRights says once which right the garden does not give, however often it is asked for: nothing but reports depends on it. It is
// safe for concurrent use.
type missingRights struct {
	mutex  sync.Mutex
	logged map[string]bool
}

// explain tells whether an error says that a right is missing, or that there is nobody to report to any more.
func (m *missingRights) explain(log logr.Logger, err error) bool {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		log.V(1).Info("The project is being deleted, and nothing can be reported there any more", "error", err.Error())
		return true
	case !apierrors.IsForbidden(err):
		return false
	}
	what := "something"
	if refusal, ok := errors.AsType[*apierrors.StatusError](err); ok && refusal.ErrStatus.Details != nil {
		what = refusal.ErrStatus.Details.Kind
	}
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if m.logged[what] {
		return true
	}
	if m.logged == nil {
		m.logged = map[string]bool{}
	}
	m.logged[what] = true
	log.Info("People in the garden are not told how Flux gets on in their shoots, because a right is missing; this is said once", "missing", what, "error", err.Error())
	return true
}
