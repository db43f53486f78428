// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// sshUser is the one user of the server, as on every forge. The key tells who it is.
	sshUser = "git"
	// loginTimeout bounds what a client that does not log in can hold.
	loginTimeout = 30 * time.Second
	// publicKeyExtension carries the key of the login to the connection's sessions.
	publicKeyExtension = "public-key"
)

func (s *Server) acceptSSH() {
	for {
		conn, err := s.sshListener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			s.log.Error("cannot accept an SSH connection", "error", err)
			return
		}
		s.running.Go(func() { s.serveConn(conn) })
	}
}

// serveConn logs one client in and serves its sessions until it goes or the server ends.
func (s *Server) serveConn(conn net.Conn) {
	ctx, cancel := context.WithCancel(s.ctx)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	defer func() { _ = conn.Close() }()

	config := &ssh.ServerConfig{PublicKeyCallback: s.checkLogin}
	signers, err := s.hostSigners()
	if err != nil {
		s.log.Error("cannot serve an SSH connection", "error", err)
		return
	}
	for _, signer := range signers {
		config.AddHostKey(signer)
	}
	_ = conn.SetDeadline(time.Now().Add(loginTimeout)) // fails only on a closed connection, which the handshake reports
	client, channels, requests, err := ssh.NewServerConn(conn, config)
	if err != nil {
		s.log.Info("SSH login failed", "client", conn.RemoteAddr().String(), "error", err)
		return
	}
	_ = conn.SetDeadline(time.Time{})
	go ssh.DiscardRequests(requests)

	var sessions sync.WaitGroup
	for channel := range channels {
		if channel.ChannelType() != "session" {
			_ = channel.Reject(ssh.Prohibited, "this server only serves Git repositories")
			continue
		}
		sessions.Go(func() { s.serveSession(ctx, client.Permissions, channel) })
	}
	cancel()
	sessions.Wait()
}

// checkLogin lets in each key that is registered for some repository; which one is asked for is not known yet.
func (s *Server) checkLogin(conn ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
	if err := s.loginAllowed(conn.User(), key); err != nil {
		s.record(Access{Protocol: SSH, Fingerprint: ssh.FingerprintSHA256(key), Reason: err.Error()})
		return nil, err
	}
	return &ssh.Permissions{Extensions: map[string]string{publicKeyExtension: string(key.Marshal())}}, nil
}

func (s *Server) loginAllowed(user string, key ssh.PublicKey) error {
	if user != sshUser {
		return fmt.Errorf("user %q does not exist: log in as %s", user, sshUser)
	}
	known, err := s.knowsKey(key)
	if err != nil {
		s.log.Warn("some registered keys cannot be read", "error", err)
	}
	if !known {
		return errors.New("the key is not registered for any repository")
	}
	return nil
}

// serveSession serves the single request for a program that a session can make.
func (s *Server) serveSession(ctx context.Context, permissions *ssh.Permissions, newChannel ssh.NewChannel) {
	channel, requests, err := newChannel.Accept()
	if err != nil {
		return
	}
	defer func() { _ = channel.Close() }() // the client may have closed it already

	var protocol string
	for request := range requests {
		switch request.Type {
		case "env":
			// RFC 4254, section 6.4. GIT_PROTOCOL is how a client asks for Git's protocol version 2.
			var variable struct{ Name, Value string }
			accepted := ssh.Unmarshal(request.Payload, &variable) == nil && variable.Name == "GIT_PROTOCOL"
			if accepted {
				protocol = variable.Value
			}
			reply(request, accepted)
		case "exec":
			var command struct{ Line string }
			if err := ssh.Unmarshal(request.Payload, &command); err != nil {
				reply(request, false)
				return
			}
			reply(request, true)
			go ssh.DiscardRequests(requests)
			status := s.execute(ctx, permissions, channel, command.Line, protocol)
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
			return
		default:
			reply(request, false)
		}
	}
}

// reply answers if an answer is wanted. It fails only if the client has gone, which ends the session anyway.
func reply(request *ssh.Request, ok bool) {
	if request.WantReply {
		_ = request.Reply(ok, nil)
	}
}

// execute runs the command of a session and returns its exit status.
func (s *Server) execute(ctx context.Context, permissions *ssh.Permissions, channel ssh.Channel, command, protocol string) uint32 {
	key, err := ssh.ParsePublicKey([]byte(permissions.Extensions[publicKeyExtension]))
	if err != nil {
		s.log.Error("the login left no key", "error", err)
		return 1
	}
	access := Access{Protocol: SSH, Fingerprint: ssh.FingerprintSHA256(key), Request: command}
	repository, err := s.authorize(&access, key)
	if err != nil {
		access.Reason = err.Error()
		s.record(access)
		_, _ = fmt.Fprintf(channel.Stderr(), "ERROR: %s\n", err)
		return 1
	}
	access.Accepted = true
	s.record(access)
	if err := s.uploadPack(ctx, repository, channel, protocol); err != nil {
		s.log.Info("git-upload-pack failed", "repository", repository.name, "error", err)
		return 128
	}
	return 0
}

// commandPattern is what Git clients send: the path comes in single quotes, with a slash in front if the URL is an ssh:// one.
var commandPattern = regexp.MustCompile(`^(git[- ][a-z-]+) '/?([^']*)'$`)

// parseCommand returns the program and the name of the repository that the client asks for. The name is empty if there is none in it.
func parseCommand(command string) (name string, err error) {
	parts := commandPattern.FindStringSubmatch(command)
	if parts == nil {
		return "", errors.New("only git-upload-pack '/owner/name.git' can be run here")
	}
	name, err = parseName(parts[2])
	if err != nil {
		return "", err
	}
	if program := strings.Replace(parts[1], " ", "-", 1); program != "git-upload-pack" {
		return name, fmt.Errorf("%s is refused: this server is read-only over SSH", program)
	}
	return name, nil
}

// authorize returns the repository that access asks for, if key is registered for it. Whether a repository exists is nothing that a
// stranger should learn.
func (s *Server) authorize(access *Access, key ssh.PublicKey) (*Repository, error) {
	name, err := parseCommand(access.Request)
	access.Repository = name
	if err != nil {
		return nil, err
	}
	refused := fmt.Errorf("repository %s does not exist, or the key is not registered for it", name)
	repository, err := s.Repository(name)
	if err != nil {
		return nil, refused
	}
	registered, err := repository.hasKey(key)
	if err != nil {
		s.log.Warn("some registered keys cannot be read", "repository", name, "error", err)
	}
	if !registered {
		return nil, refused
	}
	return repository, nil
}

// uploadPack connects the session with Git's own program.
func (s *Server) uploadPack(ctx context.Context, repository *Repository, channel ssh.Channel, protocol string) error {
	cmd := exec.CommandContext(ctx, "git", "upload-pack", "--strict", repository.Dir())
	cmd.Dir = repository.Dir()
	cmd.Env = append(s.gitEnv(), "GIT_PROTOCOL="+protocol)
	cmd.Stdout, cmd.Stderr = channel, channel.Stderr()
	// Not cmd.Stdin: Wait would wait for the client to close its side, and the client for the exit status.
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	go func() {
		_, _ = io.Copy(stdin, channel) // ends with the session; git-upload-pack itself reports an incomplete request
		_ = stdin.Close()
	}()
	return cmd.Wait()
}
