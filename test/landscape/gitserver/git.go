// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package gitserver

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// git runs the git program in one directory, with nothing of the user's configuration or environment.
type git struct {
	dir string
	env []string
}

func (s *Store) git(dir string) *git {
	return &git{dir: dir, env: append(s.gitEnv(),
		"GIT_AUTHOR_NAME=Landscape", "GIT_AUTHOR_EMAIL=landscape@example.org",
		"GIT_COMMITTER_NAME=Landscape", "GIT_COMMITTER_EMAIL=landscape@example.org",
	)}
}

// gitEnv is the complete environment of everything that serves or changes a repository.
func (s *Store) gitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=" + s.path("home"),
		"TMPDIR=" + os.TempDir(),
		"LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_TERMINAL_PROMPT=0",
		// It would go on in the background, after the server has ended.
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=maintenance.auto", "GIT_CONFIG_VALUE_0=false",
	}
}

func (g *git) withEnv(env ...string) *git {
	return &git{dir: g.dir, env: append(slices.Clone(g.env), env...)}
}

// run returns what git printed, without the last newline. The error holds what git said about it.
func (g *git) run(ctx context.Context, stdin string, args ...string) (string, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = g.dir, g.env
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return string(trimNewline(stdout.Bytes())), nil
}
