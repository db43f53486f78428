// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"golang.org/x/crypto/ssh"
)

// timeout is long enough for a machine that is busy with other tests.
const timeout = time.Minute

// start runs a server for one test.
func start(t *testing.T) *Server {
	t.Helper()
	return startIn(t, t.TempDir())
}

func startIn(t *testing.T, dir string) *Server {
	t.Helper()
	g := NewWithT(t)
	server, err := Start(t.Context(), Options{Dir: dir, Log: t.Output()})
	g.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(server.Close)
	return server
}

func (s *Server) mustCreate(t *testing.T, name string, public bool) *Repository {
	t.Helper()
	repository, err := s.CreateRepository(t.Context(), name, public)
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return repository
}

// person is somebody at a computer with the programs git and ssh, a key, and a known_hosts file.
type person struct {
	t          *testing.T
	dir        string
	publicKey  []byte
	knownHosts string
	sshOptions []string
}

// newPerson has a new key and knows the server's host keys.
func newPerson(t *testing.T, server *Server) *person {
	t.Helper()
	g := NewWithT(t)
	p := &person{t: t, dir: t.TempDir()}
	_, privateKey, err := ed25519.GenerateKey(rand.Reader)
	g.Expect(err).NotTo(HaveOccurred())
	block, err := ssh.MarshalPrivateKey(privateKey, "")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(p.path("id_ed25519"), pem.EncodeToMemory(block), 0o600)).To(Succeed())
	signer, err := ssh.NewSignerFromKey(privateKey)
	g.Expect(err).NotTo(HaveOccurred())
	p.publicKey = ssh.MarshalAuthorizedKey(signer.PublicKey())
	p.learnHostKeys(server)
	return p
}

func (p *person) path(name string) string { return filepath.Join(p.dir, name) }

func (p *person) learnHostKeys(server *Server) {
	p.t.Helper()
	g := NewWithT(p.t)
	lines, err := server.KnownHosts()
	g.Expect(err).NotTo(HaveOccurred())
	p.knownHosts = string(lines)
}

// sshCommand is ssh with nothing of the machine's configuration, strict about host keys.
func (p *person) sshCommand() []string {
	p.t.Helper()
	NewWithT(p.t).Expect(os.WriteFile(p.path("known_hosts"), []byte(p.knownHosts), 0o600)).To(Succeed())
	return append([]string{
		"ssh", "-F", "/dev/null", "-i", p.path("id_ed25519"), "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "GlobalKnownHostsFile=/dev/null", "-o", "UserKnownHostsFile=" + p.path("known_hosts"),
	}, p.sshOptions...)
}

// ssh runs one command line at the server.
func (p *person) ssh(server *Server, user, command string) (string, error) {
	p.t.Helper()
	host, port, _ := strings.Cut(server.sshListener.Addr().String(), ":")
	return p.run(nil, append(p.sshCommand(), "-p", port, user+"@"+host, command)...)
}

// git runs git and returns what it printed on both outputs.
func (p *person) git(args ...string) (string, error) {
	p.t.Helper()
	return p.run([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "LC_ALL=C", "GIT_CONFIG_NOSYSTEM=1", "GIT_TERMINAL_PROMPT=0", "GIT_TRACE_PACKET=" + p.path("packets"),
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false", // it would go on where the test removes its directory
		"GIT_SSH_COMMAND=" + strings.Join(p.sshCommand(), " "),
		"GIT_AUTHOR_NAME=Dev", "GIT_AUTHOR_EMAIL=dev@example.org", "GIT_COMMITTER_NAME=Dev", "GIT_COMMITTER_EMAIL=dev@example.org",
	}, append([]string{"git"}, args...)...)
}

func (p *person) run(env []string, command ...string) (string, error) {
	ctx, cancel := context.WithCancel(p.t.Context())
	defer cancel()
	var output bytes.Buffer
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = p.dir, env, &output, &output
	if err := cmd.Run(); err != nil {
		return output.String(), fmt.Errorf("%w: %s", err, output.String())
	}
	return output.String(), nil
}

// clone clones url into a new directory and returns it.
func (p *person) clone(url string) (string, error) {
	p.t.Helper()
	dir, err := os.MkdirTemp(p.dir, "clone-*")
	if err != nil {
		return "", err
	}
	_, err = p.git("clone", "--quiet", url, dir)
	return dir, err
}

func sshURL(t *testing.T, r *Repository) string {
	t.Helper()
	url, err := r.SSHURL()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return url
}

func httpURL(t *testing.T, r *Repository) string {
	t.Helper()
	url, err := r.HTTPURL()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return url
}

func (s *Server) httpAddress(t *testing.T) string {
	t.Helper()
	a, err := s.addresses()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return a.HTTP
}

func accesses(t *testing.T, s *Server) []Access {
	t.Helper()
	all, err := s.Accesses()
	NewWithT(t).Expect(err).NotTo(HaveOccurred())
	return all
}
