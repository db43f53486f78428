// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// BinEnv is the environment variable that names a directory with the landscape's programs, instead of the repository's bin.
const BinEnv = "LANDSCAPE_BIN"

var ownModule = regexp.MustCompile(`(?m)^module github\.com/23technologies/gardener-extension-shoot-flux$`)

// Binaries is the directory of the programs that the landscape runs.
type Binaries string

// FindBinaries is the directory that LANDSCAPE_BIN names, or else the directory bin of the repository that contains the working directory.
func FindBinaries() (Binaries, error) {
	if dir := os.Getenv(BinEnv); dir != "" {
		abs, err := filepath.Abs(dir)
		return Binaries(abs), err
	}
	start, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		content, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil && ownModule.Match(content) {
			return Binaries(filepath.Join(dir, "bin")), nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("%s is not inside the repository of gardener-extension-shoot-flux: change into it, or set %s to the directory of the landscape's programs", start, BinEnv)
		}
	}
}

// Path is the file of a program, e.g. "etcd". That it is missing is an error that says how to build it.
func (b Binaries) Path(program string) (string, error) {
	path := filepath.Join(string(b), program)
	if _, err := os.Stat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("%s is missing in %s: run `make tools` to build the landscape's programs", program, b)
	} else if err != nil {
		return "", err
	}
	return path, nil
}
