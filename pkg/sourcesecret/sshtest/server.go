// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package sshtest has an SSH server for tests: it identifies itself with a host key and lets nobody in.
package sshtest

import (
	"crypto/ed25519"
	"crypto/rand"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// Server is a running SSH server on a free port of the loopback interface.
type Server struct {
	// HostPort is the server's "address:port".
	HostPort string
	// KnownHosts is the server's line for a known_hosts file, with line end.
	KnownHosts string
	// Fingerprint is the SHA-256 fingerprint of the host key.
	Fingerprint string

	connections atomic.Int32
	logins      atomic.Int32
}

// Connections is how many clients have connected.
func (s *Server) Connections() int { return int(s.connections.Load()) }

// Logins is how many clients have tried to log in.
func (s *Server) Logins() int { return int(s.logins.Load()) }

// NewKey makes an Ed25519 key.
func NewKey(t testing.TB) ssh.Signer {
	t.Helper()
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// Start runs a server with these host keys, or with a new one, until the test ends.
func Start(t testing.TB, hostKeys ...ssh.Signer) *Server {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	if len(hostKeys) == 0 {
		hostKeys = []ssh.Signer{NewKey(t)}
	}
	public := hostKeys[0].PublicKey()
	server := &Server{
		HostPort:    listener.Addr().String(),
		KnownHosts:  knownhosts.Line([]string{listener.Addr().String()}, public) + "\n",
		Fingerprint: ssh.FingerprintSHA256(public),
	}
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) {
		return nil, errors.New("nobody may log in")
	}}
	config.NoClientAuthCallback = func(ssh.ConnMetadata) (*ssh.Permissions, error) {
		server.logins.Add(1)
		return nil, errors.New("nobody may log in")
	}
	config.NoClientAuth = true
	for _, key := range hostKeys {
		config.AddHostKey(key)
	}
	go server.serve(listener, config)
	return server
}

func (s *Server) serve(listener net.Listener, config *ssh.ServerConfig) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		s.connections.Add(1)
		go func() {
			_, _, _, _ = ssh.NewServerConn(conn, config)
			_ = conn.Close()
		}()
	}
}

// URL is the URL of a repository on the server.
func (s *Server) URL() string { return "ssh://git@" + s.HostPort + "/owner/repo.git" }

// Line is KnownHosts without the line end.
func (s *Server) Line() string { return strings.TrimSpace(s.KnownHosts) }
