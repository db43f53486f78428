// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package demo

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// cluster is the name of a kubeconfig's file, without its ending.
type cluster string

const (
	garden cluster = "garden"
	seed   cluster = "kubeconfig"
	shoot  cluster = technicalID

	kubectl = "bin/kubectl"

	// timeout is how long a step of the story may take.
	timeout  = 3 * time.Minute
	interval = 500 * time.Millisecond
)

func (c cluster) file(s *story) string { return filepath.Join(s.kubeconfigs, string(c)+".yaml") }

func (s *story) chapter(title string) { _, _ = fmt.Fprintf(s.out, "\n=== %s\n", title) }

func (s *story) say(format string, args ...any) { _, _ = fmt.Fprintf(s.out, format+"\n", args...) }

// show prints a command as a user would type it.
func (s *story) show(c cluster, args []string) {
	quoted := make([]string, len(args))
	for i, arg := range args {
		if strings.ContainsAny(arg, " {}()\"\\") {
			arg = "'" + arg + "'"
		}
		quoted[i] = arg
	}
	s.say("$ kubectl --kubeconfig dev/%s.yaml %s", c, strings.Join(quoted, " "))
}

// kubectl shows a command and what it answers.
func (s *story) kubectl(ctx context.Context, c cluster, args ...string) error {
	_, err := s.answer(ctx, c, args...)
	return err
}

// answer is kubectl that also returns what the command answers.
func (s *story) answer(ctx context.Context, c cluster, args ...string) (string, error) {
	s.show(c, args)
	output, err := s.try(ctx, c, args...)
	s.say("%s", strings.TrimRight(output, "\n"))
	return output, err
}

func (s *story) try(ctx context.Context, c cluster, args ...string) (string, error) {
	command := exec.CommandContext(ctx, kubectl, append([]string{"--kubeconfig", c.file(s)}, args...)...) // #nosec G204 -- the story's own words
	var stderr bytes.Buffer
	command.Stderr = &stderr
	stdout, err := command.Output()
	if err != nil {
		return string(stdout), fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()))
	}
	return string(stdout), nil
}

// eventually repeats a check until it returns nil, and returns its last error if that takes too long.
func (s *story) eventually(ctx context.Context, check func(context.Context) error) error {
	ctx, stop := context.WithTimeout(ctx, timeout)
	defer stop()
	for {
		err := check(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("not within %s: %w", timeout, err)
		case <-time.After(interval):
		}
	}
}

// untilLogged runs a program until it logs the given words, and shows the lines up to there.
func (s *story) untilLogged(ctx context.Context, words, program string, args ...string) error {
	gardenAccess := "GARDEN_KUBECONFIG=" + garden.file(s)
	s.say("$ %s %s %s", gardenAccess, program, strings.Join(args, " "))
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	reader, writer := io.Pipe()
	command := exec.CommandContext(ctx, program, args...) // #nosec G204 -- the story's own words
	command.Stdout, command.Stderr = writer, writer
	command.Env = append(os.Environ(), gardenAccess)
	if err := command.Start(); err != nil {
		return fmt.Errorf("failed to start %s: %w", program, err)
	}
	go func() { _ = writer.CloseWithError(command.Wait()) }()

	lines := bufio.NewScanner(reader)
	for lines.Scan() {
		s.say("%.160s", lines.Text())
		if strings.Contains(lines.Text(), words) {
			stop()
			_, _ = io.Copy(io.Discard, reader) // until it has ended
			return nil
		}
	}
	return fmt.Errorf("%s ended before it logged %q: %w", program, words, lines.Err())
}
