// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package supervisor keeps a landscape running in the background, for people: one process that owns all others, so that
// none of them can be left behind.
package supervisor

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	lockFile = "supervisor.pid"
	// readyLine is the last line that a supervisor writes when its landscape is ready.
	readyLine = "landscape is ready"
	// stopTimeout is how long a landscape may take to stop before it is killed.
	stopTimeout = 5 * time.Minute
	pollPeriod  = 100 * time.Millisecond
)

// progressFD is the file descriptor on which a supervisor writes its progress to whoever started it.
const progressFD = 3

// ErrNotRunning says that no landscape runs in the directory.
var ErrNotRunning = errors.New("no landscape is running")

// Up starts a supervisor in the background: this program with the given arguments, which must call Serve. It copies its
// progress, with the seconds since the start, and returns when the landscape is ready. It fails if one runs in dir already.
func Up(ctx context.Context, dir string, progress io.Writer, args ...string) error {
	if pid, running := running(dir); running {
		return fmt.Errorf("a landscape is running already in %s (process %d): end it with 'make down'", dir, pid)
	}
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("failed to remove the state of an earlier landscape: %w", err)
	}
	if err := os.MkdirAll(filepath.Join(dir, "logs"), 0o700); err != nil {
		return fmt.Errorf("failed to create the landscape's directory: %w", err)
	}

	reader, writer, err := os.Pipe()
	if err != nil {
		return err
	}
	defer reader.Close()
	command, err := start(dir, writer, args)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = command.Process.Signal(syscall.SIGTERM) })
	defer stop()
	if copyProgress(reader, progress) {
		return nil
	}
	err = command.Wait()
	return fmt.Errorf("the landscape did not start (%w): see %s", err, logFile(dir))
}

func logFile(dir string) string { return filepath.Join(dir, "logs", "landscape.log") }

// start runs this program once more, in a session of its own, which outlives this one.
func start(dir string, progress *os.File, args []string) (*exec.Cmd, error) {
	defer progress.Close()
	executable, err := os.Executable()
	if err != nil {
		return nil, err
	}
	log, err := os.Create(logFile(dir))
	if err != nil {
		return nil, fmt.Errorf("failed to create the landscape's log: %w", err)
	}
	defer log.Close()
	command := exec.Command(executable, args...)
	command.Stdout, command.Stderr, command.ExtraFiles = log, log, []*os.File{progress}
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("failed to start the landscape: %w", err)
	}
	return command, nil
}

// copyProgress tells whether the last line said that the landscape is ready.
func copyProgress(from io.Reader, to io.Writer) bool {
	begin := time.Now()
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		_, _ = fmt.Fprintf(to, "%5.1f s  %s\n", time.Since(begin).Seconds(), lines.Text())
		if lines.Text() == readyLine {
			return true
		}
	}
	return false
}

// Serve runs a landscape until SIGTERM or SIGINT: begin starts it and returns what ends it. Serve must be called in the
// process that Up started.
func Serve(ctx context.Context, dir string, begin func(ctx context.Context, progress io.Writer) (end func() error, err error)) error {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	lock, err := takeLock(dir)
	if err != nil {
		return err
	}
	defer lock.Close()

	progress := os.NewFile(progressFD, "progress")
	end, err := begin(ctx, progress)
	if err != nil {
		_, _ = fmt.Fprintln(progress, err)
		return err
	}
	_, _ = fmt.Fprintln(progress, readyLine)
	_ = progress.Close()
	<-ctx.Done()
	return end()
}

// takeLock makes this process the one that serves the directory. The kernel lets go of the lock when the process ends.
func takeLock(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, lockFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to open the landscape's lock: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another landscape is running in %s: %w", dir, err), lock.Close())
	}
	if err := lock.Truncate(0); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	if _, err := lock.WriteString(strconv.Itoa(os.Getpid())); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	return lock, nil
}

// running returns the process that serves the directory.
func running(dir string) (pid int, running bool) {
	lock, err := os.Open(filepath.Join(dir, lockFile))
	if err != nil {
		return 0, false
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
		return 0, false
	}
	content, err := io.ReadAll(lock)
	if err != nil {
		return 0, false
	}
	pid, err = strconv.Atoi(strings.TrimSpace(string(content)))
	return pid, err == nil
}

// Down ends the landscape that runs in the directory and waits until its process, and with it all others, are gone.
func Down(ctx context.Context, dir string) error {
	pid, alive := running(dir)
	if !alive {
		return ErrNotRunning
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
		return fmt.Errorf("failed to end the landscape (process %d): %w", pid, err)
	}
	for deadline := time.Now().Add(stopTimeout); alive; _, alive = running(dir) {
		if time.Now().After(deadline) {
			// Its children end with it: they asked the kernel for that.
			return errors.Join(fmt.Errorf("the landscape (process %d) did not stop within %s and was killed", pid, stopTimeout), syscall.Kill(pid, syscall.SIGKILL))
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(pollPeriod):
		}
	}
	return nil
}
