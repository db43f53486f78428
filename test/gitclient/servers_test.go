// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package gitclient_test compares what the extension makes of URLs, host keys and credentials with what Flux's Git client
// (github.com/fluxcd/pkg/git/gogit) makes of them, on the same inputs. It is a module of its own, so that the extension does not depend
// on the client.
package gitclient_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"encoding/pem"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/go-git/go-git/v5/plumbing/transport"
	gitssh "github.com/go-git/go-git/v5/plumbing/transport/ssh"
	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"

	"github.com/fluxcd/pkg/git"
	"github.com/fluxcd/pkg/git/gogit"
	"github.com/fluxcd/pkg/git/repository"
)

// asked is what a Git server is asked for.
type asked struct {
	// address is what the client connects to.
	address string
	// user is the one over SSH.
	user string
	// path is that of the repository.
	path string
}

// internet answers for all Git servers there are: the client reaches them by a SOCKS proxy, which connects to one SSH and one HTTP
// server whatever the address is.
type internet struct {
	proxy string

	mutex sync.Mutex
	last  asked
}

func newInternet(t *testing.T, hostKeys ...ssh.Signer) *internet {
	t.Helper()
	// The client has no such file in its container.
	gitssh.DefaultSSHConfig = nil
	i := &internet{}
	sshServer, httpServer, proxy := listen(t), listen(t), listen(t)
	i.proxy = "socks5://" + proxy.Addr().String()
	config := &ssh.ServerConfig{PublicKeyCallback: func(ssh.ConnMetadata, ssh.PublicKey) (*ssh.Permissions, error) { return nil, nil }}
	for _, key := range hostKeys {
		config.AddHostKey(key)
	}
	go serve(sshServer, func(conn net.Conn) { i.serveSSH(conn, config) })
	go serve(proxy, func(conn net.Conn) { i.serveSOCKS(conn, sshServer.Addr().String(), httpServer.Addr().String()) })
	go func() {
		_ = http.Serve(httpServer, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			path, _ := strings.CutSuffix(r.RequestURI, "/info/refs?service=git-upload-pack")
			i.note(func(a *asked) { a.path = path })
			http.NotFound(w, r)
		}))
	}()
	return i
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() { _ = listener.Close() })
	return listener
}

func serve(listener net.Listener, handle func(net.Conn)) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		go func() {
			defer func() { _ = conn.Close() }()
			handle(conn)
		}()
	}
}

func (i *internet) note(change func(*asked)) {
	i.mutex.Lock()
	defer i.mutex.Unlock()
	change(&i.last)
}

// serveSSH lets everybody in, and has no repository.
func (i *internet) serveSSH(conn net.Conn, config *ssh.ServerConfig) {
	server, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		return
	}
	go ssh.DiscardRequests(requests)
	for newChannel := range channels {
		channel, requests, err := newChannel.Accept()
		if err != nil {
			return
		}
		for request := range requests {
			var command struct{ Text string }
			if request.Type != "exec" || ssh.Unmarshal(request.Payload, &command) != nil {
				_ = request.Reply(false, nil)
				continue
			}
			_, path, _ := strings.Cut(command.Text, " ")
			i.note(func(a *asked) { a.user, a.path = server.User(), strings.TrimSuffix(strings.TrimPrefix(path, "'"), "'") })
			_ = request.Reply(true, nil)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{1}))
			_ = channel.Close()
		}
	}
}

// serveSOCKS is a proxy as RFC 1928 has it, for CONNECT without authentication.
func (i *internet) serveSOCKS(conn net.Conn, sshServer, httpServer string) {
	reader := bufio.NewReader(conn)
	head := make([]byte, 2)
	if _, err := io.ReadFull(reader, head); err != nil {
		return
	}
	if _, err := io.CopyN(io.Discard, reader, int64(head[1])); err != nil {
		return
	}
	_, _ = conn.Write([]byte{5, 0})
	address, err := readAddress(reader)
	if err != nil {
		return
	}
	i.note(func(a *asked) { a.address = address })
	target := sshServer
	if strings.HasSuffix(address, ":80") || strings.HasSuffix(address, ":8080") {
		target = httpServer
	}
	upstream, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer func() { _ = upstream.Close() }()
	_, _ = conn.Write([]byte{5, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	go func() {
		_, _ = io.Copy(upstream, reader)
		_ = upstream.Close()
	}()
	_, _ = io.Copy(conn, upstream)
}

func readAddress(reader io.Reader) (string, error) {
	head := make([]byte, 4)
	if _, err := io.ReadFull(reader, head); err != nil {
		return "", err
	}
	size := map[byte]int{1: net.IPv4len, 4: net.IPv6len}[head[3]]
	if head[3] == 3 {
		length := make([]byte, 1)
		if _, err := io.ReadFull(reader, length); err != nil {
			return "", err
		}
		size = int(length[0])
	}
	host, port := make([]byte, size), make([]byte, 2)
	if _, err := io.ReadFull(reader, host); err != nil {
		return "", err
	}
	if _, err := io.ReadFull(reader, port); err != nil {
		return "", err
	}
	name := string(host)
	if head[3] != 3 {
		name = net.IP(host).String()
	}
	return net.JoinHostPort(name, strconv.Itoa(int(binary.BigEndian.Uint16(port)))), nil
}

// clone does what source-controller does with the URL of a GitRepository and its Secret, and tells what was asked for.
func (i *internet) clone(t *testing.T, repositoryURL, knownHosts string) (asked, error) {
	t.Helper()
	g := NewWithT(t)
	i.note(func(a *asked) { *a = asked{} })
	u, err := url.Parse(repositoryURL)
	if err != nil {
		return asked{}, err
	}
	secret := map[string][]byte{}
	if u.Scheme == "ssh" {
		secret = map[string][]byte{"identity": newIdentity(t), "known_hosts": []byte(knownHosts)}
	}
	options, err := git.NewAuthOptions(*u, secret)
	g.Expect(err).NotTo(HaveOccurred())
	client, err := gogit.NewClient(t.TempDir(), options, gogit.WithMemoryStorage(), gogit.WithProxy(transport.ProxyOptions{URL: i.proxy}))
	g.Expect(err).NotTo(HaveOccurred())
	_, err = client.Clone(t.Context(), repositoryURL, repository.CloneConfig{CheckoutStrategy: repository.CheckoutStrategy{Branch: "main"}})
	i.mutex.Lock()
	defer i.mutex.Unlock()
	return i.last, err
}

func newIdentity(t *testing.T) []byte {
	t.Helper()
	g := NewWithT(t)
	_, key, err := ed25519.GenerateKey(rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	block, err := ssh.MarshalPrivateKey(key, "")
	g.Expect(err).NotTo(HaveOccurred())
	return pem.EncodeToMemory(block)
}

func newEd25519(t *testing.T) ssh.Signer {
	t.Helper()
	signer, err := ssh.ParsePrivateKey(newIdentity(t))
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return signer
}

func newECDSA(t *testing.T) ssh.Signer {
	t.Helper()
	g := NewWithT(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	signer, err := ssh.NewSignerFromKey(key)
	g.Expect(err).NotTo(HaveOccurred())
	return signer
}

// public is a key as it stands in a line of known_hosts.
func public(key ssh.Signer) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(key.PublicKey())))
}
