// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package integration

import (
	"io"
	"net"
	"strings"
	"sync"
)

// gate forwards connections to an API server.
type gate struct {
	listener net.Listener
	target   string

	mutex       sync.Mutex
	closed      bool
	connections []net.Conn
	forwarding  sync.WaitGroup
}

// OpenGate opens another address of the API server. Once it is closed, nobody who knows the server by this address reaches it any more.
func (s *Server) OpenGate() (url string, closeGate func(), err error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	g := &gate{listener: listener, target: strings.TrimPrefix(s.Config.Host, "https://")}
	g.forwarding.Go(g.accept)
	return "https://" + listener.Addr().String(), g.close, nil
}

func (g *gate) accept() {
	for {
		in, err := g.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", g.target)
		if err != nil || !g.keep(in, out) {
			_ = in.Close()
			continue
		}
		g.forwarding.Go(func() { forward(in, out) })
		g.forwarding.Go(func() { forward(out, in) })
	}
}

// keep remembers connections until the gate is closed. If it is, it closes them.
func (g *gate) keep(connections ...net.Conn) bool {
	g.mutex.Lock()
	defer g.mutex.Unlock()
	if g.closed {
		closeAll(connections)
		return false
	}
	g.connections = append(g.connections, connections...)
	return true
}

func (g *gate) close() {
	g.mutex.Lock()
	g.closed = true
	closeAll(g.connections)
	g.mutex.Unlock()
	_ = g.listener.Close()
	g.forwarding.Wait()
}

func closeAll(connections []net.Conn) {
	for _, connection := range connections {
		_ = connection.Close()
	}
}

// forward passes on what comes in, and ends both connections with it.
func forward(in, out net.Conn) {
	_, _ = io.Copy(out, in)
	closeAll([]net.Conn{in, out})
}
