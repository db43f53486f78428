// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package source

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/utils/clock"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

const (
	// maxScanTime bounds how long a worker waits for a Git server.
	maxScanTime = 10 * time.Second
	// failureLifetime is how long a server that did not answer is not asked again, so that the many shoots
	// of a project don't wait for the same dead server one after the other.
	failureLifetime = time.Minute
)

// hostKeyAlgorithms are offered in this order. Certificates are left out, because Flux does not support
// certificate authorities.
var hostKeyAlgorithms = []string{
	ssh.KeyAlgoED25519,
	ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
	ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256,
}

// Dial opens a connection as net.Dialer's DialContext does.
type Dial func(ctx context.Context, network, address string) (net.Conn, error)

// scanner asks SSH servers for their host keys.
type scanner struct {
	dial  Dial
	clock clock.PassiveClock

	answeredScans, failedScans atomic.Int64

	mu       sync.Mutex
	failures map[string]failure
}

type failure struct {
	err error
	at  time.Time
}

// scan asks the SSH server at hostPort for its host key. Nothing but the key exchange takes place: neither
// a user nor a key of ours is sent.
func (s *scanner) scan(ctx context.Context, hostPort string) (knownhosts.Line, error) {
	if err := s.recentFailure(hostPort); err != nil {
		return knownhosts.Line{}, err
	}
	key, err := s.handshake(ctx, hostPort)
	if err != nil {
		s.failedScans.Add(1)
		if ctx.Err() == nil {
			s.remember(hostPort, err)
		}
		return knownhosts.Line{}, err
	}
	s.answeredScans.Add(1)
	return knownhosts.NewLine(hostPort, key)
}

func (s *scanner) handshake(ctx context.Context, hostPort string) (ssh.PublicKey, error) {
	ctx, cancel := context.WithTimeout(ctx, maxScanTime)
	defer cancel()
	conn, err := s.dial(ctx, "tcp", hostPort)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()

	var key ssh.PublicKey
	_, _, _, err = ssh.NewClientConn(conn, hostPort, &ssh.ClientConfig{
		HostKeyAlgorithms: hostKeyAlgorithms,
		HostKeyCallback: func(_ string, _ net.Addr, presented ssh.PublicKey) error {
			key = presented
			return errors.New("the host key is all that was wanted")
		},
	})
	switch {
	case key != nil:
		return key, nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("no SSH server answered: %w", ctx.Err())
	default:
		// The server may have chosen the words.
		return nil, fmt.Errorf("no SSH server answered as expected: %.200q", err.Error())
	}
}

func (s *scanner) recentFailure(hostPort string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if failed, ok := s.failures[hostPort]; ok && s.clock.Since(failed.at) < failureLifetime {
		return failed.err
	}
	return nil
}

func (s *scanner) remember(hostPort string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.DeleteFunc(s.failures, func(_ string, f failure) bool { return s.clock.Since(f.at) >= failureLifetime })
	s.failures[hostPort] = failure{err: err, at: s.clock.Now()}
}
