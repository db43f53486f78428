// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// buildArguments are the arguments of go build, but for -o. The Makefile and the Dockerfile have the same; a test compares them.
func buildArguments(version, revision string) []string {
	return []string{
		"build", "-trimpath",
		// What is stamped otherwise depends on whether there is a .git.
		"-buildvcs=false",
		"-ldflags=-s -w -X k8s.io/component-base/version.gitVersion=" + version +
			" -X k8s.io/component-base/version/verflag.programName=" + programName +
			" -X k8s.io/component-base/version.gitCommit=" + revision,
	}
}

// buildEnvironment is the environment of go build. What the user's own has for other builds must not get into a release.
func buildEnvironment(system, architecture string) []string {
	return append(os.Environ(),
		"CGO_ENABLED=0", "GOOS="+system, "GOARCH="+architecture,
		"GOFLAGS=-mod=readonly", "GOAMD64=v1", "GOARM64=v8.0", "GOEXPERIMENT=", "GOFIPS140=off", "GOWORK=off",
	)
}

// compile compiles the program for each platform.
func (r *release) compile(ctx context.Context, directory string) error {
	for _, name := range r.platforms {
		platform, err := parsePlatform(name)
		if err != nil {
			return err
		}
		fmt.Fprintln(r.out, "compiling for", name)
		file := filepath.Join(directory, platform.Architecture, programName)
		args := append(buildArguments(r.version, r.revision), "-o", file, "./cmd/"+programName)
		if _, err := command(ctx, buildEnvironment(platform.OS, platform.Architecture), "go", args...); err != nil {
			return err
		}
		r.programs = append(r.programs, program{platform, file})
	}
	return nil
}
