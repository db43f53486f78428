// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package process starts the programs of the local landscape, watches them, and ends them. Nothing that it started outlives the
// process that started it.
package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	defaultGracePeriod  = 10 * time.Second
	defaultReadyTimeout = 10 * time.Minute // many start at the same time, and one that ends is noticed at once
	readyInterval       = 100 * time.Millisecond
)

// errNotReady tells the end of a program's own time from that of its caller.
var errNotReady = errors.New("not ready in time")

// Program says what to run and how to tell that it works.
type Program struct {
	// Name names the program in errors, and its log file: unique in a landscape, e.g. "garden-kube-apiserver".
	Name string
	// Path is the file to execute.
	Path string
	// Args are the arguments, without the program's own name.
	Args []string
	// Env is added to the environment of this process ("KEY=value"). What points programs to a cluster by itself
	// (KUBECONFIG, KUBERNETES_SERVICE_HOST) is not inherited.
	Env []string
	// Dir is the directory of the landscape's state; the log goes to its subdirectory logs.
	Dir string
	// WorkingDir is where the program runs; empty means Dir.
	WorkingDir string
	// Container, if set, keeps the program from everything of this machine but the network. Path and WorkingDir are then below its root,
	// and Env is all of the environment.
	Container *Container
	// GracePeriod is the time between SIGTERM and SIGKILL when the program is stopped; 0 means 10 seconds.
	GracePeriod time.Duration
	// Ready is called repeatedly after the start, until it returns nil. Without it, the program counts as ready once it runs.
	Ready func(ctx context.Context) error
	// ReadyTimeout is how long the program may take to become ready; 0 means 10 minutes.
	ReadyTimeout time.Duration
	// OnExit, if set, is called with an *ExitError when the program ends though nobody stopped or killed it. It must not block.
	OnExit func(error)
}

// Container is what a program sees and is of this machine, if that is not everything and not the user of this process. It needs neither
// root nor a container runtime: for another user than root, the kernel gives the program a user namespace.
type Container struct {
	// Root is the directory that the program sees as its root.
	Root string
	// UID and GID are the user and the group of the program.
	UID, GID int
}

// LogFile is where the program's output goes, of all its runs.
func (p Program) LogFile() string {
	return filepath.Join(p.Dir, "logs", p.Name+".log")
}

// Process is a program that was started. Its methods may be called concurrently.
type Process struct {
	program Program

	lifecycle sync.Mutex // held by whoever starts or ends a run
	mu        sync.Mutex // guards current
	current   *run
}

// run is one execution of the program.
type run struct {
	pid     int
	stopped bool          // somebody asked it to end; guarded by Process.mu
	ended   chan struct{} // closed once the program ended and err is set
	err     error
}

// Start runs the program and waits until it is ready. The context bounds the start, not the life of the program, which ends with
// Stop or with this process. If the program ends or is not ready in time, nothing is left of it and the error tells the end of its log.
func Start(ctx context.Context, program Program) (*Process, error) {
	if err := os.MkdirAll(filepath.Dir(program.LogFile()), 0o755); err != nil {
		return nil, fmt.Errorf("failed to create the directory for the log of %s: %w", program.Name, err)
	}
	if err := os.Remove(program.LogFile()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("failed to remove the old log of %s: %w", program.Name, err)
	}
	p := &Process{program: program}
	if err := p.Restart(ctx); err != nil {
		return nil, err
	}
	return p, nil
}

// Restart runs the program once more, with the same arguments, and waits until it is ready. A run that has not ended is stopped first.
func (p *Process) Restart(ctx context.Context) error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.end(syscall.SIGTERM)
	r, err := p.execute()
	if err != nil {
		return err
	}
	if err := p.waitReady(ctx, r); err != nil {
		p.end(syscall.SIGKILL)
		return err
	}
	return nil
}

// Stop asks the program to end, and kills it with all its children if it has not ended within its grace period.
// A program that had ended by itself before is an error: an *ExitError, also if it was reported to OnExit.
func (p *Process) Stop() error {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	err := p.Err()
	p.end(syscall.SIGTERM)
	return err
}

// Kill ends the program at once (SIGKILL), as a crash does. It can be started again with Restart.
func (p *Process) Kill() {
	p.lifecycle.Lock()
	defer p.lifecycle.Unlock()
	p.end(syscall.SIGKILL)
}

// Err is an *ExitError if the program ended though nobody stopped or killed it, else nil.
func (p *Process) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.stopped {
		return nil
	}
	select {
	case <-p.current.ended:
		return p.current.err
	default:
		return nil
	}
}

// Running tells whether the program runs: neither ended, nor stopped or killed.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.current == nil || p.current.stopped {
		return false
	}
	select {
	case <-p.current.ended:
		return false
	default:
		return true
	}
}

// PID is the process id of the last run, which also is the id of its process group.
func (p *Process) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.current.pid
}

// Name is the name of the program.
func (p *Process) Name() string { return p.program.Name }

// Flag is the value of a flag of the program, of the last one if there are several, or empty.
func (p *Process) Flag(name string) string {
	value := ""
	for _, arg := range p.program.Args {
		if flag, v, ok := strings.Cut(arg, "="); ok && flag == "--"+name {
			value = v
		}
	}
	return value
}

// LogFile is where the output of the program goes.
func (p *Process) LogFile() string { return p.program.LogFile() }

// execute starts a run and the goroutine that waits for its end.
func (p *Process) execute() (*run, error) {
	log, err := os.OpenFile(p.program.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("failed to open the log of %s: %w", p.program.Name, err)
	}
	defer log.Close()

	cmd := exec.Command(p.program.Path, p.program.Args...) // #nosec G204 -- the landscape's own programs
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env, cmd.Dir = p.program.surroundings()
	if cmd.SysProcAttr, err = attributes(p.program.Container); err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", p.program.Name, err)
	}

	r := &run{ended: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The kernel sends the parent-death signal when the thread that forked ends, so that thread must live as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		if err == nil {
			r.pid = cmd.Process.Pid
		}
		started <- err
		if err == nil {
			p.wait(cmd, r)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("failed to start %s: %w", p.program.Name, err)
	}
	p.mu.Lock()
	p.current = r
	p.mu.Unlock()
	return r, nil
}

// wait waits until the run ends, and reports an end that nobody asked for.
func (p *Process) wait(cmd *exec.Cmd, r *run) {
	_ = cmd.Wait()                            // its error is in the process state
	_ = syscall.Kill(-r.pid, syscall.SIGKILL) // its children; usually there are none
	r.err = newExitError(p.program, cmd.ProcessState)
	p.mu.Lock()
	unexpected := !r.stopped
	close(r.ended)
	p.mu.Unlock()
	if unexpected && p.program.OnExit != nil {
		p.program.OnExit(r.err)
	}
}

// waitReady returns nil once the program is ready, and an error if it ends before, does not become ready in time, or ctx is done.
func (p *Process) waitReady(ctx context.Context, r *run) error {
	if p.program.Ready == nil {
		return nil
	}
	timeout := p.program.ReadyTimeout
	if timeout == 0 {
		timeout = defaultReadyTimeout
	}
	ready, cancel := context.WithTimeoutCause(ctx, timeout, errNotReady)
	defer cancel()
	tick := time.NewTicker(readyInterval)
	defer tick.Stop()
	for {
		err := p.program.Ready(ready)
		if err == nil {
			return nil
		}
		select {
		case <-r.ended:
			return r.err
		case <-ready.Done():
			if cause := context.Cause(ready); !errors.Is(cause, errNotReady) {
				return fmt.Errorf("gave up waiting for %s to become ready: %w (last answer: %w)", p.program.Name, cause, err)
			}
			return fmt.Errorf("%s was not ready after %s: %w%s", p.program.Name, timeout, err, tail(p.program.LogFile()))
		case <-tick.C:
		}
	}
}

// end signals the process group, and returns when nothing of it is left.
func (p *Process) end(signal syscall.Signal) {
	p.mu.Lock()
	r := p.current
	if r == nil {
		p.mu.Unlock()
		return
	}
	select {
	case <-r.ended: // an unexpected end stays one
		p.mu.Unlock()
		return
	default:
		r.stopped = true
	}
	p.mu.Unlock()

	grace := p.program.GracePeriod
	if grace == 0 {
		grace = defaultGracePeriod
	}
	// Errors of kill mean that the group is gone already.
	_ = syscall.Kill(-r.pid, signal)
	select {
	case <-r.ended:
	case <-time.After(grace):
		_ = syscall.Kill(-r.pid, syscall.SIGKILL)
		<-r.ended
	}
}

// surroundings are the program's environment and its working directory.
func (p Program) surroundings() (env []string, dir string) {
	switch {
	case p.Container != nil:
		return append([]string{}, p.Env...), filepath.Join("/", p.WorkingDir) // nil would be the environment of this process
	case p.WorkingDir != "":
		return environment(p.Env), p.WorkingDir
	default:
		return environment(p.Env), p.Dir
	}
}

// environment is the environment of this process plus env, without what leads Kubernetes programs to some other cluster.
func environment(env []string) []string {
	var inherited []string
	for _, variable := range os.Environ() {
		name, _, _ := strings.Cut(variable, "=")
		switch name {
		case "KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT":
		default:
			inherited = append(inherited, variable)
		}
	}
	return append(inherited, env...)
}
