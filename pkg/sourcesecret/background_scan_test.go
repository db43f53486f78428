// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package sourcesecret

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	clocktesting "k8s.io/utils/clock/testing"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/sourcesecret/sshtest"
)

// timeout is for what happens in the background.
const timeout = 30 * time.Second

// servers stands for Git servers that can be away: a dial of one that is away fails. If hanging is not nil, it hangs first until that
// is closed.
type servers struct {
	dials   atomic.Int32
	away    atomic.Bool
	hanging chan struct{}
}

func (s *servers) dial(ctx context.Context, network, address string) (net.Conn, error) {
	s.dials.Add(1)
	if s.hanging != nil {
		<-s.hanging
	}
	if s.away.Load() {
		return nil, errors.New("no route to host")
	}
	return direct(ctx, network, address)
}

func (s *scanner) countRunning() int {
	s.mutex.Lock()
	defer s.mutex.Unlock()
	return s.running
}

// TestSilentServerHoldsUpNobody has many shoots of a project whose server hangs, and another project.
func TestSilentServerHoldsUpNobody(t *testing.T) {
	g := NewWithT(t)
	const silent = "silent.example.org:22"
	good, hanging := sshtest.Start(t), make(chan struct{})
	t.Cleanup(func() { close(hanging) })
	scanner := newScanner(func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == silent {
			<-hanging
			return nil, errors.New("no route to host")
		}
		return direct(ctx, network, address)
	})
	for i := range 1000 {
		_, err := scanner.ask(fmt.Sprintf("garden-%d", i%2), silent)
		g.Expect(err).To(MatchError(ErrPending))
		g.Expect(err).To(MatchError("waiting for the SSH host keys of " + silent +
			": the Git server is asked in the background, and Gardener asks for them again by itself"))
	}
	// Nobody has waited for the network: that server hangs until the test ends.
	g.Expect(scanner.countRunning()).To(Equal(1), "one question for all shoots and projects")
	g.Eventually(func() error { _, err := scanner.ask("garden-other", good.HostPort); return err }, timeout).Should(Succeed())
}

func TestPausesGrow(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	network := &servers{}
	network.away.Store(true)
	scanner := newScanner(network.dial)
	now := clocktesting.NewFakePassiveClock(time.Now())
	scanner.clock = now
	ask := func() error { _, err := scanner.ask(namespace, server.HostPort); return err }

	g.Expect(ask()).To(MatchError(ErrPending))
	var pauses []time.Duration
	for asked := int32(1); asked <= 8; asked++ {
		g.Eventually(func() int64 { return scanner.failedScans.Load() }, timeout, time.Millisecond).Should(BeEquivalentTo(asked))
		g.Expect(ask()).To(MatchError("no route to host"))
		pause := time.Duration(0)
		for ; network.dials.Load() == asked && pause < time.Hour; pause += 15 * time.Second {
			now.SetTime(now.Now().Add(15 * time.Second))
			g.Expect(ask()).To(MatchError("no route to host"), "what is known is said while the server is asked again")
			g.Eventually(scanner.countRunning, timeout, time.Millisecond).Should(BeZero())
		}
		pauses = append(pauses, pause)
	}
	g.Expect(pauses).To(Equal([]time.Duration{15 * time.Second, 30 * time.Second, time.Minute, 2 * time.Minute,
		4 * time.Minute, 5 * time.Minute, 5 * time.Minute, 5 * time.Minute}))

	network.away.Store(false)
	now.SetTime(now.Now().Add(maxPause))
	g.Eventually(ask, timeout, time.Millisecond).Should(Succeed())
	g.Expect((&Keeper{scanner: scanner}).Stats()).To(Equal(Stats{HostKeyScans: 10, FailedHostKeyScans: 9}))
}

// TestAnswersAreShortLived: a server that has got a new key must not be trusted by its old one.
func TestAnswersAreShortLived(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	network := &servers{}
	scanner := newScanner(network.dial)
	now := clocktesting.NewFakePassiveClock(time.Now())
	scanner.clock = now
	ask := func() error { _, err := scanner.ask(namespace, server.HostPort); return err }
	g.Eventually(ask, timeout, time.Millisecond).Should(Succeed())
	asked := network.dials.Load()
	now.SetTime(now.Now().Add(answerLifetime - time.Second))
	g.Expect(ask()).To(Succeed())
	g.Expect(network.dials.Load()).To(Equal(asked))
	now.SetTime(now.Now().Add(time.Second))
	g.Expect(ask()).To(MatchError(ErrPending))
	g.Eventually(ask, timeout, time.Millisecond).Should(Succeed())
}

func TestWaitingProjectsAreTold(t *testing.T) {
	g := NewWithT(t)
	server := sshtest.Start(t)
	network := &servers{}
	network.away.Store(true)
	keeper := NewKeeper(network.dial)
	now := clocktesting.NewFakePassiveClock(time.Now())
	keeper.scanner.clock = now
	told := make(chan string, 10)
	keeper.OnAnswer(func(project string) { told <- project })
	ask := func(project string) error { _, err := keeper.scanner.ask(project, server.HostPort); return err }

	g.Expect(ask("garden-one")).To(MatchError(ErrPending))
	g.Eventually(func() error { return ask("garden-one") }, timeout, time.Millisecond).Should(MatchError("no route to host"))
	g.Expect(ask("garden-two")).To(MatchError("no route to host"))
	_, err := keeper.PresentedHostKey(t.Context(), server.URL())
	g.Expect(err).To(MatchError("could not ask the Git server for its SSH host key: no route to host"))
	g.Consistently(told, 50*time.Millisecond).ShouldNot(Receive())

	network.away.Store(false)
	now.SetTime(now.Now().Add(firstPause))
	g.Expect(ask("garden-one")).To(MatchError("no route to host"))
	first, second := "", ""
	g.Eventually(told, timeout).Should(Receive(&first))
	g.Eventually(told, timeout).Should(Receive(&second))
	g.Expect([]string{first, second}).To(ConsistOf("garden-one", "garden-two"), "also who asked before the answer was due")
	g.Expect(ask("garden-one")).To(Succeed())
	presented, err := keeper.PresentedHostKey(t.Context(), server.URL())
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(presented).To(Equal("ssh-ed25519 " + server.Fingerprint))
	g.Consistently(told, 50*time.Millisecond).ShouldNot(Receive(), "once")
}

// TestScansAreBounded: somebody who changes the URL all the time neither takes the places of all others nor fills the memory.
func TestScansAreBounded(t *testing.T) {
	g := NewWithT(t)
	network := &servers{hanging: make(chan struct{})}
	network.away.Store(true)
	scanner := newScanner(network.dial)
	for i := range 2 * maxHosts {
		_, err := scanner.ask("garden-busy", fmt.Sprintf("host-%d.example.org:22", i))
		g.Expect(err).To(MatchError(ErrPending))
	}
	g.Expect(scanner.countRunning()).To(Equal(maxScansOfProject))
	for i := range 2 * maxScans {
		_, err := scanner.ask(fmt.Sprintf("garden-%d", i), fmt.Sprintf("other-%d.example.org:22", i))
		g.Expect(err).To(MatchError(ErrPending))
	}
	g.Expect(scanner.countRunning()).To(Equal(maxScans))
	for i := range 2 * maxWaiting {
		_, err := scanner.ask(fmt.Sprintf("garden-%d", i), "popular.example.org:22")
		g.Expect(err).To(MatchError(ErrPending))
	}
	g.Expect(scanner.hosts.Len()).To(Equal(maxHosts))
	g.Expect(scanner.host("popular.example.org:22").waiting).To(HaveLen(maxWaiting))

	close(network.hanging)
	g.Eventually(func() int64 { return scanner.failedScans.Load() }, timeout, time.Millisecond).Should(BeEquivalentTo(maxScans))
	g.Expect(scanner.countRunning()).To(BeZero())
	g.Expect(scanner.runningOf).To(BeEmpty())
}
