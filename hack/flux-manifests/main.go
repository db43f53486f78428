// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command flux-manifests rebuilds the manifests of the Flux release that go.mod requires and writes them to the
// file that pkg/release embeds.
//
// A Flux release publishes its manifests as manifests.tar.gz. Everything in it comes from Go modules: the directory
// manifests/ of Flux itself, and config/crd and config/manager of each controller. The command gets these modules
// with the go command, compares each with its hash in modules.sum, and builds them with kustomize as the release
// does. So the embedded release needs no release server, and every input is pinned.
//
//	go run ./hack/flux-manifests          write the embedded file and its licence
//	go run ./hack/flux-manifests -check   fail if the embedded file is not current
//	go run ./hack/flux-manifests -pin     write modules.sum and the embedded file (after a new version in go.mod)
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
)

const (
	archiveFile = "pkg/release/embedded/releases.tar.br"
	sumFile     = "hack/flux-manifests/modules.sum"
	fluxModule  = "github.com/fluxcd/flux2/v2"
)

// licence is written beside the archive, in the form that the REUSE specification asks for.
// REUSE-IgnoreStart
const licence = "SPDX-FileCopyrightText: The Flux authors\n\nSPDX-License-Identifier: Apache-2.0\n"

// REUSE-IgnoreEnd

func main() {
	check := flag.Bool("check", false, "fail if the embedded file is not current, and write nothing")
	pin := flag.Bool("pin", false, "trust the modules as the go command gets them, and write their hashes to "+sumFile)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check, *pin)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flux-manifests:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check, pin bool) error {
	if check && pin {
		return errors.New("-check and -pin exclude each other")
	}
	root, err := repositoryRoot(ctx)
	if err != nil {
		return err
	}
	version, err := requiredVersion(filepath.Join(root, "go.mod"), fluxModule)
	if err != nil {
		return err
	}

	sums := pinnedSums{}
	if !pin {
		if sums, err = readSums(filepath.Join(root, sumFile)); err != nil {
			return err
		}
	}
	modules := &moduleSource{sums: sums, pin: pin}

	files, err := buildRelease(ctx, modules, version)
	if err != nil {
		return fmt.Errorf("building the manifests of Flux %s: %w", version, err)
	}
	archive, err := packArchive(map[string]map[string][]byte{version: files})
	if err != nil {
		return err
	}

	if check {
		return checkCurrent(filepath.Join(root, archiveFile), version, archive)
	}
	if pin {
		if err := writeSums(filepath.Join(root, sumFile), modules.sums); err != nil {
			return err
		}
	}
	return writeArchive(filepath.Join(root, archiveFile), archive)
}

// checkCurrent compares the uncompressed contents, so that a new version of the compressor makes nothing stale.
func checkCurrent(path, version string, want []byte) error {
	got, err := readArchive(path)
	if err != nil {
		return fmt.Errorf("%w: run make generate", err)
	}
	text, err := os.ReadFile(path + ".license")
	if err != nil {
		return fmt.Errorf("the embedded release has no licence file: %w: run make generate", err)
	}
	if !bytes.Equal(got, want) || string(text) != licence {
		return fmt.Errorf("%s is not what Flux %s of go.mod gives: run make generate", archiveFile, version)
	}
	return nil
}
