// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package garden

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/rest"
)

const (
	// reachabilityInterval is how often the garden is asked.
	reachabilityInterval = 30 * time.Second
	// reachabilityTimeout is after how long it counts as unreachable.
	reachabilityTimeout = 10 * time.Second
)

// Reachability knows whether the garden can be reached: whether it answers and accepts the credentials. It says nothing
// about rights. It is added to a manager, and asks the garden there in the background.
type Reachability struct {
	access *Access

	mutex sync.Mutex
	err   error
}

// NewReachability returns what knows whether the garden can be reached by this way.
func NewReachability(access *Access) *Reachability {
	return &Reachability{access: access, err: errors.New("the garden has not been asked yet")}
}

// Check is a healthz.Checker. It tells what was found out last and never blocks.
func (r *Reachability) Check(*http.Request) error {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	return r.err
}

// Start implements manager.Runnable.
func (r *Reachability) Start(ctx context.Context) error {
	wait.JitterUntilWithContext(ctx, r.update, reachabilityInterval, 0.1, true)
	return nil
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: each replica answers for itself.
func (r *Reachability) NeedLeaderElection() bool {
	return false
}

func (r *Reachability) update(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, reachabilityTimeout)
	defer cancel()
	err := r.ask(ctx)

	r.mutex.Lock()
	defer r.mutex.Unlock()
	r.err = err
}

// ask reads the version of the garden's API server, which every authenticated client may do.
func (r *Reachability) ask(ctx context.Context) error {
	connection, err := r.access.Connection(ctx)
	if err != nil {
		return err
	}
	config := rest.CopyConfig(connection.Config)
	config.NegotiatedSerializer = serializer.NewCodecFactory(scheme).WithoutConversion()
	server, err := rest.UnversionedRESTClientFor(config)
	if err != nil {
		return fmt.Errorf("no access to the garden: %s is not usable: %w", r.access.origin, err)
	}
	if err := server.Get().AbsPath("/version").Do(ctx).Error(); err != nil {
		return fmt.Errorf("the garden cannot be reached: %w", r.access.explain(err))
	}
	return nil
}
