// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package gomod gets the content of Go modules for programs that generate data from it, and lets only pinned content
// pass.
package gomod

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"golang.org/x/mod/sumdb/dirhash"
)

// Source gets Go modules and lets only those pass that have the pinned content.
type Source struct {
	// Pinned has the hash that the content of each module must have.
	Pinned Sums
	// PinNew trusts a module that has no pinned hash as the go command gets it. A hash that is pinned is never changed.
	PinNew bool
	// NoSumDB has patterns, as the variable GONOSUMDB of the go command, of modules that the public checksum database
	// is not asked about, in addition to those of the environment. Only what is pinned vouches for them.
	NoSumDB string
	// Used collects the hash of each module that passed.
	Used Sums
}

// NewSource returns a source that lets those modules pass that have a hash in the file at path.
func NewSource(path string) (*Source, error) {
	pinned, err := ReadSums(path)
	if err != nil {
		return nil, err
	}
	return &Source{Pinned: pinned, Used: Sums{}}, nil
}

// Directory returns the directory in the module cache with the verified content of a module. Its error names the module.
func (s *Source) Directory(ctx context.Context, mod module.Version) (string, error) {
	dir, err := s.download(ctx, mod)
	if err != nil {
		return "", err
	}
	// Hashing the directory rather than believing the go command also covers a module cache that somebody edited.
	sum, err := dirhash.HashDir(dir, mod.String(), dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hashing %s: %w", mod, err)
	}
	switch want, ok := s.Pinned[mod]; {
	case !ok && !s.PinNew:
		return "", fmt.Errorf("%s has no pinned hash: pin it with -pin and review the change", mod)
	case ok && want != sum:
		return "", fmt.Errorf("%s has the hash %s, but %s is pinned", mod, sum, want)
	}
	s.Used[mod] = sum
	return dir, nil
}

// CheckUsed returns an error if there is a pinned hash that was not needed.
func (s *Source) CheckUsed() error {
	for mod := range s.Pinned {
		if _, ok := s.Used[mod]; !ok {
			return fmt.Errorf("%s is pinned, but no release is made from it: unpin it with -pin", mod)
		}
	}
	return nil
}

// download has the go command put a module into the module cache and returns its directory there.
func (s *Source) download(ctx context.Context, mod module.Version) (string, error) {
	// Outside of any module, the go command takes exactly the version that it is asked for and writes no go.sum.
	outside, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(outside)

	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", mod.String())
	command.Dir = outside
	command.Env = append(os.Environ(), "PWD="+outside, "GOWORK=off", "GOFLAGS=")
	if s.NoSumDB != "" {
		command.Env = append(command.Env, "GONOSUMDB="+strings.TrimPrefix(os.Getenv("GONOSUMDB")+","+s.NoSumDB, ","))
	}
	var stderr bytes.Buffer
	command.Stderr = &stderr
	output, runErr := command.Output()

	var answer struct{ Dir, Error string }
	if err := json.Unmarshal(output, &answer); err != nil {
		return "", fmt.Errorf("go mod download %s: %w: %s", mod, errors.Join(runErr, err), stderr.String())
	}
	if answer.Error != "" {
		return "", fmt.Errorf("go mod download %s: %s", mod, answer.Error)
	}
	return answer.Dir, runErr
}

// Version returns the Go module at the root of a GitHub repository, such as fluxcd/source-controller.
func Version(repository, version string) module.Version {
	mod := module.Version{Path: "github.com/" + repository, Version: version}
	if major := semver.Major(version); major != "v0" && major != "v1" {
		mod.Path += "/" + major
	}
	return mod
}

// Root returns the directory of the Go module that the program was started in.
func Root(ctx context.Context) (string, error) {
	output, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	goMod := strings.TrimSpace(string(output))
	if filepath.Base(goMod) != "go.mod" {
		return "", errors.New("not inside the repository's Go module: run make generate at its root")
	}
	return filepath.Dir(goMod), nil
}

// RequiredVersion returns the version of a module that a go.mod file requires.
func RequiredVersion(goMod, path string) (string, error) {
	data, err := os.ReadFile(goMod)
	if err != nil {
		return "", err
	}
	file, err := modfile.Parse(goMod, data, nil)
	if err != nil {
		return "", err
	}
	for _, require := range file.Require {
		if require.Mod.Path == path {
			return require.Mod.Version, nil
		}
	}
	return "", fmt.Errorf("%s does not require %s", goMod, path)
}
