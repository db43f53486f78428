// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package registry

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/23technologies/gardener-extension-shoot-flux/test/landscape/process"
)

// Format is how a signature is stored beside an artifact.
type Format string

const (
	// Bundle is what cosign 3 writes: a bundle that refers to the artifact.
	Bundle Format = "bundle"
	// Tagged is what cosign 2 writes: a tag that the artifact's digest gives its name.
	Tagged Format = "tagged"
)

// SigningKey is a key pair of cosign.
type SigningKey struct {
	// PublicKey is in PEM, as the Secret of an OCIRepository's field verify has it under a key that ends in .pub.
	PublicKey []byte

	program string
	dir     string
}

// NewSigningKey makes a key pair in a directory that exists, with `cosign generate-key-pair`.
func NewSigningKey(ctx context.Context, bin process.Binaries, dir string) (*SigningKey, error) {
	path, err := bin.Path("cosign")
	if err != nil {
		return nil, err
	}
	k := &SigningKey{program: path, dir: dir}
	if err := k.cosign(ctx, nil, "generate-key-pair", "--output-key-prefix", "cosign"); err != nil {
		return nil, err
	}
	k.PublicKey, err = os.ReadFile(filepath.Join(dir, "cosign.pub"))
	return k, err
}

// Sign signs an artifact with `cosign sign`, without the public log of signatures, for which tests have no network.
func (k *SigningKey) Sign(ctx context.Context, r *Registry, repository, digest string, format Format) error {
	return k.cosign(ctx, []string{"DOCKER_CONFIG=" + r.DockerConfig},
		"sign", "--yes", "--key", "cosign.key", "--registry-cacert", r.CAFile, "--use-signing-config=false", "--tlog-upload=false",
		fmt.Sprintf("--new-bundle-format=%t", format == Bundle), r.Host+"/"+repository+"@"+digest)
}

// cosign runs the program with nothing of the user's environment. The error has what it said.
func (k *SigningKey) cosign(ctx context.Context, env []string, args ...string) error {
	command := exec.CommandContext(ctx, k.program, args...)
	command.Dir = k.dir
	command.Env = append([]string{"HOME=" + k.dir, "COSIGN_PASSWORD="}, env...)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("cosign %s: %w: %s", args[0], err, strings.TrimSpace(string(output)))
	}
	return nil
}
