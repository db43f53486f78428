// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/mod/modfile"
	"golang.org/x/mod/module"
	"golang.org/x/mod/sumdb/dirhash"
)

// unlistedModule has versions that the public checksum database does not know. For this module, only modules.sum
// vouches.
const unlistedModule = "github.com/fluxcd/source-watcher/v2"

const sumsHeader = `# SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
#
# SPDX-License-Identifier: Apache-2.0
#
# The hash (h1:, as in go.sum) of each Go module that the embedded Flux release is made from. Written with -pin.
`

// pinnedSums holds the hash of each module version, as go.sum does.
type pinnedSums map[module.Version]string

// moduleSource gets Go modules and lets only those pass that have the pinned content.
type moduleSource struct {
	sums pinnedSums
	// pin adds the hash of each module to sums in place of comparing it.
	pin bool
}

// directory returns the directory in the module cache with the verified content of a module.
func (s *moduleSource) directory(ctx context.Context, mod module.Version) (string, error) {
	dir, err := download(ctx, mod)
	if err != nil {
		return "", err
	}
	// Hashing the directory rather than believing the go command also covers a module cache that somebody edited.
	sum, err := dirhash.HashDir(dir, mod.String(), dirhash.Hash1)
	if err != nil {
		return "", fmt.Errorf("hashing %s: %w", mod, err)
	}
	if s.pin {
		s.sums[mod] = sum
		return dir, nil
	}
	switch want, ok := s.sums[mod]; {
	case !ok:
		return "", fmt.Errorf("%s has no hash in %s: run go run ./hack/flux-manifests -pin and review the change", mod, sumFile)
	case want != sum:
		return "", fmt.Errorf("%s has the hash %s, but %s says %s", mod, sum, sumFile, want)
	}
	return dir, nil
}

// download has the go command put a module into the module cache and returns its directory there.
func download(ctx context.Context, mod module.Version) (string, error) {
	// Outside of any module, the go command takes exactly the version that it is asked for and writes no go.sum.
	outside, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(outside)

	command := exec.CommandContext(ctx, "go", "mod", "download", "-json", mod.String())
	command.Dir = outside
	command.Env = append(os.Environ(), "PWD="+outside, "GOWORK=off", "GOFLAGS=")
	if mod.Path == unlistedModule {
		command.Env = append(command.Env, "GONOSUMDB="+withItem(os.Getenv("GONOSUMDB"), mod.Path))
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

func withItem(list, item string) string {
	if list == "" {
		return item
	}
	return list + "," + item
}

func repositoryRoot(ctx context.Context) (string, error) {
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

// requiredVersion returns the version of a module that a go.mod file requires.
func requiredVersion(goMod, path string) (string, error) {
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

func readSums(path string) (pinnedSums, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	sums := pinnedSums{}
	scanner := bufio.NewScanner(bytes.NewReader(data))
	for scanner.Scan() {
		if strings.HasPrefix(scanner.Text(), "#") {
			continue
		}
		fields := strings.Fields(scanner.Text())
		if len(fields) != 3 {
			return nil, fmt.Errorf("%s: a line must have a module, a version and a hash, but one is %q", path, scanner.Text())
		}
		sums[module.Version{Path: fields[0], Version: fields[1]}] = fields[2]
	}
	return sums, scanner.Err()
}

func writeSums(path string, sums pinnedSums) error {
	var text strings.Builder
	text.WriteString(sumsHeader)
	byPath := func(a, b module.Version) int {
		return cmp.Or(cmp.Compare(a.Path, b.Path), cmp.Compare(a.Version, b.Version))
	}
	for _, mod := range slices.SortedFunc(maps.Keys(sums), byPath) {
		fmt.Fprintf(&text, "%s %s %s\n", mod.Path, mod.Version, sums[mod])
	}
	return os.WriteFile(path, []byte(text.String()), 0o644)
}
