// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

const loopback = "127.0.0.1"

// Options say where a landscape lives. All clusters of one landscape share them.
type Options struct {
	// Dir is the directory of the landscape's state: each cluster has a subdirectory, logs go to logs.
	Dir string
	// Bin is the directory of the programs.
	Bin process.Binaries
	// Progress, if set, gets a line for each program that became ready.
	Progress io.Writer
	// OnExit, if set, is called with a *process.ExitError when a program ends though nobody stopped it. It must not block.
	OnExit func(error)
}

// Etcd is the store that the control planes of a landscape share, each under its own prefix.
type Etcd struct {
	// Process is the running etcd.
	Process *process.Process

	url     string
	options Options
	mu      sync.Mutex // orders lines of progress
}

// StartEtcd starts an empty etcd in the subdirectory etcd of the landscape, and waits until it is healthy.
func StartEtcd(ctx context.Context, options Options) (*Etcd, error) {
	data := filepath.Join(options.Dir, "etcd")
	if err := os.MkdirAll(options.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("failed to create the landscape's directory: %w", err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, fmt.Errorf("failed to create the directory of a new etcd (if an old landscape is there, end it and remove its directory): %w", err)
	}
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	e := &Etcd{options: options, url: "http://" + net.JoinHostPort(loopback, strconv.Itoa(port))}
	e.Process, err = e.StartProgram(ctx, "etcd", "etcd", process.AnswersOK(e.url+"/health"),
		"--name=landscape",
		"--data-dir="+data,
		"--listen-client-urls="+e.url,
		"--advertise-client-urls="+e.url,
		"--listen-peer-urls=http://"+net.JoinHostPort(loopback, "0"), // no peers: any port will do
		"--unsafe-no-fsync=true",                                     // nothing here has to survive a crash of the machine
		"--log-level=warn",
	)
	if err != nil {
		return nil, err
	}
	return e, nil
}

// Stop ends etcd. The clusters must have been stopped before.
func (e *Etcd) Stop() error {
	return e.Process.Stop()
}

// URL is where etcd listens.
func (e *Etcd) URL() string { return e.url }

// Dir is the directory of the landscape's state.
func (e *Etcd) Dir() string { return e.options.Dir }

// StartProgram runs one of the landscape's programs under a name that is unique in the landscape, and reports when it is ready.
func (e *Etcd) StartProgram(ctx context.Context, name, program string, ready func(context.Context) error, args ...string) (*process.Process, error) {
	path, err := e.options.Bin.Path(program)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	p, err := process.Start(ctx, process.Program{
		Name: name, Path: path, Args: args, Dir: e.options.Dir, Ready: ready, OnExit: e.options.OnExit,
	})
	if err != nil {
		return nil, err
	}
	e.progress("%s: running after %.1f s", name, time.Since(began).Seconds())
	return p, nil
}

func (e *Etcd) progress(format string, args ...any) {
	if e.options.Progress == nil {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	fmt.Fprintf(e.options.Progress, format+"\n", args...)
}
