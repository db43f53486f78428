// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/crypto/ssh"
	"k8s.io/utils/clock"
	"k8s.io/utils/lru"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/project/knownhosts"
)

const (
	// maxScanTime bounds how long one server is asked, with all its keys.
	maxScanTime = 10 * time.Second
	// answerLifetime is how long an answer counts for those who have asked: longer than the longest back-off of a
	// reconciliation. It is short, because a server that has got a new key must not be trusted by its old one.
	answerLifetime = time.Minute
	// firstPause is how long a server that did not answer is not asked again. Each further failure doubles the pause.
	firstPause = 15 * time.Second
	// maxPause bounds it, so that a server that answers again is noticed.
	maxPause = 5 * time.Minute

	// maxScans bounds how many servers are asked at once.
	maxScans = 50
	// maxScansOfProject bounds how many of them are for one project, which has one repository at a time but can change it.
	maxScansOfProject = 3
	// maxHosts bounds how many servers are remembered. One more makes the one forgotten that was not asked for longest.
	maxHosts = 1000
	// maxWaiting bounds how many projects are told that a server has answered. The others notice when they ask again.
	maxWaiting = 100
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

// ErrPending means that the Git server is being asked for its host keys in the background. The answer will be there for a
// later caller. To be told apart with errors.Is; the error itself is a sentence for the user.
var ErrPending = errors.New("SSH host keys pending")

// pendingError is ErrPending about one server.
type pendingError struct{ hostPort string }

func (e pendingError) Error() string {
	return fmt.Sprintf("waiting for the SSH host keys of %s: the Git server is asked in the background, and Gardener asks for them again by itself", e.hostPort)
}

func (e pendingError) Is(target error) bool { return target == ErrPending }

// scanner asks SSH servers for their host keys, each once at a time for all who want to know. Nobody waits for a server:
// whoever asks gets what is known, or ErrPending.
type scanner struct {
	dial  Dial
	clock clock.PassiveClock

	answeredScans, failedScans atomic.Int64

	mutex sync.Mutex
	// hosts has a *host by its name and port.
	hosts *lru.Cache
	// running counts the scans that are under way, and runningOf those for one project.
	running   int
	runningOf map[string]int
	// answered is told of each project that waited for a server that has answered, or nil.
	answered func(project string)
}

// host is what is known about a server.
type host struct {
	running bool
	// keys is the last answer, or err the last failure. They count, and no new scan begins, before until.
	keys  knownhosts.Lines
	err   error
	until time.Time
	// pause follows the next failure.
	pause time.Duration
	// waiting are the projects that have asked since the last answer.
	waiting map[string]bool
}

func newScanner(dial Dial) *scanner {
	return &scanner{dial: dial, clock: clock.RealClock{}, hosts: lru.New(maxHosts), runningOf: map[string]int{}}
}

// ask returns the keys of the SSH server at hostPort, one of each type that it has. If they are not known, the server is
// asked in the background, and the error is ErrPending; if it has failed to answer, the error says how, also while it is
// asked once more. The project, which may be empty, is told when the server has answered.
func (s *scanner) ask(project, hostPort string) (knownhosts.Lines, error) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	known := s.host(hostPort)
	if !known.running && !s.clock.Now().Before(known.until) {
		known.keys = nil
		s.start(project, hostPort, known)
	}
	if known.keys != nil {
		return known.keys, nil
	}
	if project != "" && len(known.waiting) < maxWaiting {
		known.waiting[project] = true
	}
	if known.err != nil {
		return nil, known.err
	}
	return nil, pendingError{hostPort}
}

func (s *scanner) host(hostPort string) *host {
	if known, ok := s.hosts.Get(hostPort); ok {
		return known.(*host)
	}
	known := &host{pause: firstPause, waiting: map[string]bool{}}
	s.hosts.Add(hostPort, known)
	return known
}

// start begins a scan, unless there are too many. It is tried again for the next who asks.
func (s *scanner) start(project, hostPort string, known *host) {
	if s.running >= maxScans || project != "" && s.runningOf[project] >= maxScansOfProject {
		return
	}
	known.running = true
	s.running++
	s.runningOf[project]++
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), maxScanTime)
		defer cancel()
		keys, err := s.scan(ctx, hostPort)
		tell := s.finish(project, known, keys, err)
		tell()
	}()
}

// finish notes how a scan ended, and returns what tells those who wait for it.
func (s *scanner) finish(project string, known *host, keys knownhosts.Lines, err error) (tell func()) {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	s.running--
	if s.runningOf[project]--; s.runningOf[project] == 0 {
		delete(s.runningOf, project)
	}
	known.running, known.keys, known.err = false, keys, err
	if err != nil {
		s.failedScans.Add(1)
		known.until = s.clock.Now().Add(known.pause)
		known.pause = min(2*known.pause, maxPause)
		return func() {}
	}
	s.answeredScans.Add(1)
	known.until, known.pause = s.clock.Now().Add(answerLifetime), firstPause
	projects := slices.Collect(maps.Keys(known.waiting))
	clear(known.waiting)
	answered := s.answered
	return func() {
		for _, waiting := range projects {
			if answered != nil {
				answered(waiting)
			}
		}
	}
}

// scan asks the SSH server at hostPort for its host keys: by one connection for each type of key that it has, and one that finds
// no more. Nothing but the key exchange takes place: neither a user nor a key of ours is sent. If the server stops answering in
// between, what it has said counts.
func (s *scanner) scan(ctx context.Context, hostPort string) (knownhosts.Lines, error) {
	var lines knownhosts.Lines
	for wanted := hostKeyAlgorithms; len(wanted) > 0; {
		key, err := s.handshake(ctx, hostPort, wanted)
		if err != nil && len(lines) > 0 {
			break
		} else if err != nil {
			return nil, err
		}
		line, err := knownhosts.NewLine(hostPort, key)
		if err != nil {
			return nil, err
		}
		lines = append(lines, line)
		wanted = without(wanted, key.Type())
	}
	return lines, nil
}

// without leaves out the algorithms of a type of keys, of which RSA has several.
func without(algorithms []string, keyType string) []string {
	return slices.DeleteFunc(slices.Clone(algorithms), func(algorithm string) bool {
		return algorithm == keyType || keyType == ssh.KeyAlgoRSA && strings.HasPrefix(algorithm, "rsa-")
	})
}

// handshake returns the key that the server presents if it is offered these algorithms.
func (s *scanner) handshake(ctx context.Context, hostPort string, algorithms []string) (ssh.PublicKey, error) {
	conn, err := s.dial(ctx, "tcp", hostPort)
	if err != nil {
		return nil, err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()

	var key ssh.PublicKey
	_, _, _, err = ssh.NewClientConn(conn, hostPort, &ssh.ClientConfig{
		HostKeyAlgorithms: algorithms,
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
