// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Options of a server.
type Options struct {
	// Dir is the state directory. It is made if it does not exist. One server at a time can use it.
	Dir string
	// Log receives the server's log as text lines; nil discards it.
	Log io.Writer
}

// Server is a running Git server. It embeds the [Store] that it serves.
type Server struct {
	*Store

	log         *slog.Logger
	lock        *os.File
	sshListener net.Listener
	httpServers []*http.Server

	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	closed  sync.Once
}

// addresses are the TCP addresses ("127.0.0.1:4711") that a server listens on.
type addresses struct {
	SSH  string `json:"ssh"`
	HTTP string `json:"http"`
	// HTTPS is for everybody, MutualTLS for those who have a client certificate.
	HTTPS     string `json:"https"`
	MutualTLS string `json:"mutualTLS"`
}

// Start starts a server on free ports of 127.0.0.1. It runs until ctx is done or Close is called. It fails if git or git-http-backend is
// missing, if the state directory cannot be used, or if another server uses it.
func Start(ctx context.Context, options Options) (*Server, error) {
	backend, err := findHTTPBackend(ctx)
	if err != nil {
		return nil, err
	}
	store, err := Open(options.Dir)
	if err != nil {
		return nil, err
	}
	lock, err := lockDirectory(store.dir)
	if err != nil {
		return nil, err
	}
	if options.Log == nil {
		options.Log = io.Discard
	}
	s := &Server{Store: store, log: slog.New(slog.NewTextHandler(options.Log, nil)), lock: lock}
	if err := s.listen(ctx, backend); err != nil {
		return nil, errors.Join(err, lock.Close())
	}
	context.AfterFunc(s.ctx, s.stop)
	return s, nil
}

func (s *Server) listen(ctx context.Context, backend string) error {
	if err := s.ensureHostKeys(); err != nil {
		return err
	}
	anybody, mutual, err := s.tlsConfigs()
	if err != nil {
		return err
	}
	earlier, err := s.addresses()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listeners, err := s.listenOn(earlier.SSH, earlier.HTTP, earlier.HTTPS, earlier.MutualTLS)
	if err != nil {
		return err
	}
	address := func(i int) string { return listeners[i].Addr().String() }
	now := addresses{SSH: address(0), HTTP: address(1), HTTPS: address(2), MutualTLS: address(3)}
	if err := s.announce(now); err != nil {
		return errors.Join(err, closeAll(listeners))
	}

	s.ctx, s.cancel = context.WithCancel(ctx)
	s.sshListener = listeners[0]
	s.running.Go(s.acceptSSH)
	git := s.gitBackend(backend)
	s.serve(listeners[1], s.httpHandler(HTTP, git))
	s.serve(tls.NewListener(listeners[2], anybody), s.httpHandler(HTTPS, git))
	s.serve(tls.NewListener(listeners[3], mutual), s.httpHandler(HTTPS, git))
	s.log.Info("Git server listens", "ssh", now.SSH, "http", now.HTTP, "https", now.HTTPS, "mutualTLS", now.MutualTLS, "dir", s.dir)
	return nil
}

// serve serves HTTP on a listener until the server ends.
func (s *Server) serve(listener net.Listener, handler http.Handler) {
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
	}
	s.httpServers = append(s.httpServers, server)
	s.running.Go(func() {
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			s.log.Error("HTTP server ended", "error", err)
		}
	})
}

// listenOn listens on the addresses of an earlier run, so that URLs stay valid, or on free ports.
func (s *Server) listenOn(earlier ...string) ([]net.Listener, error) {
	var listeners []net.Listener
	for _, address := range earlier {
		listener, err := s.listenOnOne(address)
		if err != nil {
			return nil, errors.Join(err, closeAll(listeners))
		}
		listeners = append(listeners, listener)
	}
	return listeners, nil
}

func closeAll(listeners []net.Listener) error {
	var errs []error
	for _, listener := range listeners {
		errs = append(errs, listener.Close())
	}
	return errors.Join(errs...)
}

func (s *Server) listenOnOne(earlier string) (net.Listener, error) {
	if earlier != "" {
		listener, err := net.Listen("tcp", earlier)
		if err == nil {
			return listener, nil
		}
		s.log.Warn("the address of the earlier run is taken, choosing a free port", "address", earlier, "error", err)
	}
	// One that no client takes by chance before the next run.
	port, err := process.FreePort()
	if err != nil {
		return nil, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if err != nil {
		return nil, fmt.Errorf("no free port on 127.0.0.1 for the Git server: %w", err)
	}
	return listener, nil
}

// announce writes the files that tell other processes how to reach the server.
func (s *Server) announce(a addresses) error {
	text, err := json.Marshal(a)
	if err != nil {
		return err
	}
	if err := writeFile(s.path("addresses.json"), append(text, '\n')); err != nil {
		return err
	}
	return s.writeKnownHosts()
}

// Close ends the server and everything it started, and waits until it is gone. The state directory stays. It may be called more than once.
func (s *Server) Close() {
	s.cancel()
	s.stop()
}

func (s *Server) stop() {
	s.closed.Do(func() {
		// Errors of closing leave nothing to do: each of these is closed exactly once, here.
		_ = s.sshListener.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		for _, server := range s.httpServers {
			_ = server.Shutdown(ctx) // lets git-http-backend end what it is doing
			_ = server.Close()
		}
		s.running.Wait()
		_ = s.lock.Close()
		s.log.Info("Git server ended")
	})
}

// lockDirectory keeps a second server away from the directory. The kernel releases the lock when the process ends, however it ends.
func lockDirectory(dir string) (*os.File, error) {
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(fmt.Errorf("another Git server uses the directory %s: end it, or choose another directory: %w", dir, err), lock.Close())
	}
	return lock, nil
}

func findHTTPBackend(ctx context.Context) (string, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return "", fmt.Errorf("the Git server needs the program git: install it: %w", err)
	}
	execPath, err := exec.CommandContext(ctx, git, "--exec-path").Output()
	if err != nil {
		return "", fmt.Errorf("asking %s for its --exec-path: %w", git, err)
	}
	backend := filepath.Join(string(trimNewline(execPath)), "git-http-backend")
	if _, err := os.Stat(backend); err != nil {
		return "", fmt.Errorf("the Git server needs git-http-backend (on some systems in the package git-daemon or git-http-backend): %w", err)
	}
	return backend, nil
}
