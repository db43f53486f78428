// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// commit is what a release is made from.
type commit struct {
	// revision is the hash, with "-dirty" if there are changes.
	revision string
	// created is when it was committed: the time of a build would make each build another one.
	created time.Time
}

// readCommit reads what is checked out.
func readCommit(ctx context.Context, uncommitted bool) (commit, error) {
	changes, err := git(ctx, "status", "--porcelain")
	if err != nil {
		return commit{}, fmt.Errorf("a release is made from a Git repository: %w", err)
	}
	if changes != "" && !uncommitted {
		return commit{}, fmt.Errorf("the working tree has changes, from which nobody could make the same release: commit or remove them:\n%s", changes)
	}
	head, err := git(ctx, "show", "--no-patch", "--format=%H %ct", "HEAD")
	if err != nil {
		return commit{}, err
	}
	hash, seconds, _ := strings.Cut(head, " ")
	unix, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return commit{}, fmt.Errorf("git show says %q in place of a hash and a time: %w", head, err)
	}
	if changes != "" {
		hash += "-dirty"
	}
	return commit{revision: hash, created: time.Unix(unix, 0).UTC()}, nil
}

// git runs git and returns what it prints, without the last line break.
func git(ctx context.Context, args ...string) (string, error) {
	output, err := command(ctx, nil, "git", args...)
	return strings.TrimRight(string(output), "\n"), err
}

// command runs a program and returns what it prints. What it complains about is part of the error.
func command(ctx context.Context, environment []string, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = environment
	output, err := cmd.Output()
	if err != nil {
		var failed *exec.ExitError
		if errors.As(err, &failed) {
			err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(failed.Stderr))
		}
		return nil, fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err)
	}
	return output, nil
}
