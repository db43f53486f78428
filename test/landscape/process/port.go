// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Ports below the range from which kernels take the source ports of outgoing connections: while a server restarts, no client can sit
// on its port by chance.
const (
	firstPort = 20000
	lastPort  = 32000
	portTries = 1000
)

var (
	// portLocks are the lock files of this process's ports. The kernel frees the locks when the process ends.
	portLocks = map[int]*os.File{}
	portMutex sync.Mutex // guards portLocks
)

// FreePort finds a TCP port of the loopback interface that nobody uses, and reserves it for the life of this process: other calls of
// FreePort, also those of other processes of the same user, do not return it.
func FreePort() (int, error) {
	portMutex.Lock()
	defer portMutex.Unlock()
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("landscape-ports-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 0, fmt.Errorf("failed to create the directory of port reservations: %w", err)
	}
	for range portTries {
		port := firstPort + rand.IntN(lastPort-firstPort)
		if _, ours := portLocks[port]; ours {
			continue
		}
		lock, err := reserve(filepath.Join(dir, strconv.Itoa(port)))
		if errors.Is(err, syscall.EWOULDBLOCK) {
			continue
		}
		if err != nil {
			return 0, err
		}
		if !unused(port) {
			_ = lock.Close()
			continue
		}
		portLocks[port] = lock
		return port, nil
	}
	return 0, fmt.Errorf("no free port in %d attempts between %d and %d", portTries, firstPort, lastPort)
}

// reserve locks the file. EWOULDBLOCK means that somebody else has the lock.
func reserve(name string) (*os.File, error) {
	lock, err := os.OpenFile(name, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("failed to reserve a port: %w", err)
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("failed to lock %s: %w", name, err)
	}
	return lock, nil
}

// unused tells whether nobody listens on the port. It does not try to listen: a program that is being started at that moment would inherit the listener, and
// have the port until it is loaded.
func unused(port int) bool {
	connection, err := net.DialTimeout("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), time.Second)
	if err == nil {
		_ = connection.Close()
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}
