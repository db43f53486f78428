// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
)

const (
	tailLines = 20
	tailBytes = 16 << 10
)

// ExitError says that a program ended though nobody stopped it.
type ExitError struct {
	// Name is the program's name.
	Name string
	// Code is the exit code, or -1 if a signal ended the program.
	Code int
	// Signal ended the program; 0 if it ended by itself.
	Signal syscall.Signal
	// LogFile is where all its output is.
	LogFile string

	tail string
}

// newExitError keeps the end of the log as it is now, before a restart appends to it.
func newExitError(program Program, state *os.ProcessState) *ExitError {
	e := &ExitError{Name: program.Name, Code: state.ExitCode(), LogFile: program.LogFile(), tail: tail(program.LogFile())}
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		e.Signal = status.Signal()
	}
	return e
}

// Error names the program, how it ended, and the last lines of its log.
func (e *ExitError) Error() string {
	how := fmt.Sprintf("with exit code %d", e.Code)
	if e.Signal != 0 {
		how = fmt.Sprintf("by signal %d (%s)", int(e.Signal), e.Signal)
	}
	return fmt.Sprintf("%s ended unexpectedly %s%s", e.Name, how, e.tail)
}

// tail is the end of a log as the continuation of an error's sentence.
func tail(logFile string) string {
	content, err := lastBytes(logFile, tailBytes)
	if err != nil {
		return fmt.Sprintf("; its log can't be read: %v", err)
	}
	lines := strings.Split(strings.TrimSpace(content), "\n")
	if len(lines) > tailLines {
		lines = lines[len(lines)-tailLines:]
	}
	if lines[0] == "" {
		return fmt.Sprintf("; its log %s is empty", logFile)
	}
	return fmt.Sprintf("; the end of its log %s:\n  %s", logFile, strings.Join(lines, "\n  "))
}

func lastBytes(file string, n int64) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	content, err := io.ReadAll(io.NewSectionReader(f, max(0, info.Size()-n), n))
	return string(content), err
}
