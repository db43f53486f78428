// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package workload

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Runner keeps at most one process for each key, like a Deployment with one replica and strategy Recreate. Calls for different keys do
// not wait for each other; calls for the same key must not overlap.
type Runner struct {
	mutex   sync.Mutex
	running map[string]running
}

type running struct {
	revision string
	process  *process.Process
}

// Running says whether the key's process runs in this revision.
func (r *Runner) Running(key, revision string) bool {
	current, ok := r.get(key)
	return ok && current.revision == revision && current.process.Err() == nil
}

// Ensure makes the key's process run in this revision: it replaces one of another revision, or one that ended by itself. It returns when
// the process is ready. If it does not get ready, nothing runs and the error says why. The program's OnExit, which must be set, is only
// called for a crash after that.
func (r *Runner) Ensure(ctx context.Context, key, revision string, program process.Program) error {
	if r.Running(key, revision) {
		return nil
	}
	// That the old process had crashed does not matter any more.
	_ = r.Stop(key)
	var isReady atomic.Bool
	crashed := program.OnExit
	program.OnExit = func(err error) {
		if isReady.Load() {
			crashed(err)
		}
	}
	started, err := process.Start(ctx, program)
	if err != nil {
		return err
	}
	r.mutex.Lock()
	if r.running == nil {
		r.running = map[string]running{}
	}
	r.running[key] = running{revision: revision, process: started}
	r.mutex.Unlock()
	isReady.Store(true)
	return started.Err() // of a crash in between, which OnExit was not called for
}

// Stop ends the key's process, if there is one. It is an error if that had crashed.
func (r *Runner) Stop(key string) error {
	r.mutex.Lock()
	current, ok := r.running[key]
	delete(r.running, key)
	r.mutex.Unlock()
	if !ok {
		return nil
	}
	return current.process.Stop()
}

// StopAll ends all processes.
func (r *Runner) StopAll() error {
	r.mutex.Lock()
	keys := make([]string, 0, len(r.running))
	for key := range r.running {
		keys = append(keys, key)
	}
	r.mutex.Unlock()

	errs := make([]error, len(keys))
	var group sync.WaitGroup
	for i, key := range keys {
		group.Go(func() { errs[i] = r.Stop(key) })
	}
	group.Wait()
	return errors.Join(errs...)
}

// Process returns the process that runs for the key.
func (r *Runner) Process(key string) (*process.Process, bool) {
	current, ok := r.get(key)
	return current.process, ok
}

// Processes returns what runs, by key.
func (r *Runner) Processes() map[string]*process.Process {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	processes := map[string]*process.Process{}
	for key, current := range r.running {
		processes[key] = current.process
	}
	return processes
}

func (r *Runner) get(key string) (running, bool) {
	r.mutex.Lock()
	defer r.mutex.Unlock()
	current, ok := r.running[key]
	return current, ok
}
