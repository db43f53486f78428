// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// TestFreePort lets several processes reserve so many ports at the same time that they would collide if they did not know of each other: one after the other, while the first holds its ports.
func TestFreePort(t *testing.T) {
	const count, processes = 400, 3
	if os.Getenv("PORT_TEST_CHILD") != "" {
		reservePorts(t, count)
		return
	}
	g := NewWithT(t)
	seen := map[string]bool{}
	for _, port := range reservePorts(t, count) {
		seen[port] = true
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(listener.Close()).To(Succeed())
	}
	for range processes - 1 { // while this process holds its ports
		child := exec.Command(os.Args[0], "-test.run=^TestFreePort$", "-test.v")
		child.Env = append(os.Environ(), "PORT_TEST_CHILD=yes")
		output, err := child.Output()
		g.Expect(err).NotTo(HaveOccurred())
		for _, line := range strings.Split(string(output), "\n") {
			if port, ok := strings.CutPrefix(line, "port "); ok {
				g.Expect(seen).NotTo(HaveKey(port))
			}
		}
		g.Expect(strings.Count(string(output), "port ")).To(Equal(count))
	}
	g.Expect(seen).To(HaveLen(count))
}

// TestFreePortWhileProgramsStart listens on each port as soon as it has it, while programs are started, which inherit what is open at that moment.
func TestFreePortWhileProgramsStart(t *testing.T) {
	const ports, starters = 300, 4
	g := NewWithT(t)
	ctx, cancel := context.WithCancel(t.Context())
	var starting sync.WaitGroup
	for range starters {
		starting.Go(func() {
			for ctx.Err() == nil {
				_ = exec.Command("true").Run()
			}
		})
	}
	t.Cleanup(starting.Wait)
	t.Cleanup(cancel)
	for range ports {
		port, err := process.FreePort()
		g.Expect(err).NotTo(HaveOccurred())
		listener, err := net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(port))
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(listener.Close()).To(Succeed())
	}
}

// reservePorts reserves ports and prints them.
func reservePorts(t *testing.T, count int) []string {
	var ports []string
	for range count {
		port, err := process.FreePort()
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
		ports = append(ports, strconv.Itoa(port))
	}
	_, _ = os.Stdout.WriteString("port " + strings.Join(ports, "\nport ") + "\n")
	return ports
}
