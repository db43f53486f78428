// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command flux-manifests rebuilds the manifests of the Flux releases in releases.txt and writes them to the file that
// pkg/release/embedded embeds.
//
// A Flux release publishes its manifests as manifests.tar.gz. Everything in it comes from Go modules: the directory
// manifests/ of Flux itself, and config/crd and config/manager of each controller. The command gets these modules
// with the go command, compares each with its hash in modules.sum, and builds them with kustomize as the release
// does. So the embedded releases need no release server, and every input is pinned.
//
//	go run ./hack/flux-manifests               write the embedded file and its licence
//	go run ./hack/flux-manifests -check        fail if the embedded file is not current
//	go run ./hack/flux-manifests -pin          pin what is not pinned yet, unpin what is not used, and write the embedded file
//	go run ./hack/flux-manifests -add v2.9.4   add a release to releases.txt, then as -pin
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"

	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/archive"
	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/gomod"
	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/manifests"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
)

const (
	archiveFile  = "pkg/release/embedded/releases.tar.br"
	sumFile      = "hack/flux-manifests/modules.sum"
	releasesFile = "hack/flux-manifests/releases.txt"
	fluxModule   = "github.com/fluxcd/flux2/v2"
	// unknownToSumDB are modules that the public checksum database has no answer for. Their pinned hashes vouch for them.
	unknownToSumDB = "github.com/fluxcd/source-watcher/*"
)

// task is what the command line asks for.
type task struct {
	check, pin bool
	add        string
}

func main() {
	var todo task
	flag.BoolVar(&todo.check, "check", false, "fail if the embedded file is not current, and write nothing")
	flag.BoolVar(&todo.pin, "pin", false, "trust modules without a pinned hash as the go command gets them, and write their hashes to "+sumFile)
	flag.StringVar(&todo.add, "add", "", "the tag of a release, such as v2.9.4, to add to "+releasesFile+"; implies -pin")
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, todo, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "flux-manifests:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, todo task, progress io.Writer) error {
	pin := todo.pin || todo.add != ""
	if todo.check && pin {
		return errors.New("-check and -pin or -add exclude each other")
	}
	root, err := gomod.Root(ctx)
	if err != nil {
		return err
	}
	versions, err := releases(root, todo.add)
	if err != nil {
		return err
	}
	source, err := gomod.NewSource(filepath.Join(root, sumFile))
	if err != nil {
		return err
	}
	source.PinNew = pin
	source.NoSumDB = unknownToSumDB

	built, err := build(ctx, source, versions, progress)
	if err != nil {
		return err
	}
	if !pin {
		if err := source.CheckUsed(); err != nil {
			return err
		}
	}
	packed, err := archive.Pack(built)
	if err != nil {
		return err
	}
	if todo.check {
		return archive.Check(filepath.Join(root, archiveFile), packed)
	}
	// Nothing is written before everything is built, so that a module that can't be had leaves nothing half done.
	if pin {
		if err := errors.Join(writeList(filepath.Join(root, releasesFile), versions), source.Used.Write(filepath.Join(root, sumFile))); err != nil {
			return err
		}
	}
	return archive.Write(filepath.Join(root, archiveFile), packed)
}

// releases returns the releases to embed: those of the list and the one to add, if any.
func releases(root, add string) ([]string, error) {
	versions, err := readList(filepath.Join(root, releasesFile))
	if err != nil {
		return nil, err
	}
	if add != "" {
		if versions, err = addRelease(versions, add); err != nil {
			return nil, err
		}
	}
	required, err := gomod.RequiredVersion(filepath.Join(root, "go.mod"), fluxModule)
	if err != nil {
		return nil, err
	}
	return versions, checkListed(versions, required)
}

// build returns the files of all releases by version and name.
func build(ctx context.Context, source *gomod.Source, versions []string, progress io.Writer) (map[string]map[string][]byte, error) {
	built := map[string]map[string][]byte{}
	for i, version := range versions {
		fmt.Fprintf(progress, "[%d/%d] Flux %s\n", i+1, len(versions), version)
		dir, err := source.Directory(ctx, gomod.Version("fluxcd/flux2", version))
		if err == nil {
			built[version], err = manifests.Release(ctx, dir, flux.Components(), manifests.Modules{Source: source})
		}
		if err != nil {
			return nil, fmt.Errorf("building the manifests of Flux %s: %w", version, err)
		}
	}
	return built, nil
}
