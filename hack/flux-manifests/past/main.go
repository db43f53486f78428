// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Command past builds the manifests of past Flux releases, which package test/fluxreleases gives to tests.
//
// Go's module proxy may not have the modules of old controllers. It has their API modules, from which the command
// generates the custom resource definitions as the controllers do, and Flux's own module with RBAC and policies. Only
// the Deployment of a controller can be that of a neighbouring version: test/fluxreleases/releases.yaml says where.
// All modules are pinned in test/fluxreleases/modules.sum, and what these need by the go.sum that each of them has.
//
//	go run ./hack/flux-manifests/past          write the archive and its licence
//	go run ./hack/flux-manifests/past -check   fail if the archive is not current
//	go run ./hack/flux-manifests/past -pin     pin what is not pinned yet, unpin what is not used, and write the archive
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"

	"golang.org/x/mod/semver"
	"sigs.k8s.io/yaml"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/archive"
	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/gomod"
	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/manifests"
)

const (
	archiveFile  = "test/fluxreleases/releases.tar.br"
	sumFile      = "test/fluxreleases/modules.sum"
	releasesFile = "test/fluxreleases/releases.yaml"
)

// pastRelease is an entry of the list of releases.
type pastRelease struct {
	// Version is the release's tag.
	Version string `json:"version"`
	// ControllerGen is the directory with the go.mod of the program controller-gen, relative to the repository's root.
	ControllerGen string `json:"controllerGen"`
	// StandIns has the version, by controller, whose Deployment stands in for the controller's own.
	StandIns map[string]string `json:"standIns"`
}

func main() {
	check := flag.Bool("check", false, "fail if the archive is not current, and write nothing")
	pin := flag.Bool("pin", false, "trust modules without a pinned hash as the go command gets them, and write their hashes to "+sumFile)
	flag.Parse()

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *check, *pin, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "past:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, check, pin bool, progress io.Writer) error {
	if check && pin {
		return errors.New("-check and -pin exclude each other")
	}
	root, err := gomod.Root(ctx)
	if err != nil {
		return err
	}
	list, err := readReleases(filepath.Join(root, releasesFile))
	if err != nil {
		return err
	}
	source, err := gomod.NewSource(filepath.Join(root, sumFile))
	if err != nil {
		return err
	}
	source.PinNew = pin
	// A proxy that lacks a module may lack what the checksum database says about its neighbours.
	source.NoSumDB = "github.com/fluxcd/*"

	built, err := buildAll(ctx, root, source, list, progress)
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
	if check {
		return archive.Check(filepath.Join(root, archiveFile), packed)
	}
	if pin {
		if err := source.Used.Write(filepath.Join(root, sumFile)); err != nil {
			return err
		}
	}
	return archive.Write(filepath.Join(root, archiveFile), packed)
}

func readReleases(path string) ([]pastRelease, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var list []pastRelease
	if err := yaml.UnmarshalStrict(data, &list); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, entry := range list {
		if !semver.IsValid(entry.Version) || entry.ControllerGen == "" {
			return nil, fmt.Errorf("%s: each release must have a version, such as v2.6.4, and controllerGen, but one is %+v", path, entry)
		}
	}
	return list, nil
}

// buildAll returns the files of all releases by version and name.
func buildAll(ctx context.Context, root string, source *gomod.Source, list []pastRelease, progress io.Writer) (map[string]map[string][]byte, error) {
	programs, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(programs)

	built := map[string]map[string][]byte{}
	for i, entry := range list {
		fmt.Fprintf(progress, "[%d/%d] Flux %s\n", i+1, len(list), entry.Version)
		program, err := buildControllerGen(ctx, filepath.Join(root, entry.ControllerGen), programs)
		if err != nil {
			return nil, err
		}
		if built[entry.Version], err = buildRelease(ctx, source, program, entry); err != nil {
			return nil, fmt.Errorf("building the manifests of Flux %s: %w", entry.Version, err)
		}
	}
	return built, nil
}

func buildRelease(ctx context.Context, source *gomod.Source, controllerGen string, entry pastRelease) (map[string][]byte, error) {
	flux, err := source.Directory(ctx, gomod.Version("fluxcd/flux2", entry.Version))
	if err != nil {
		return nil, err
	}
	assets := manifests.Generated{Source: source, ControllerGen: controllerGen, StandIns: entry.StandIns}
	return manifests.Release(ctx, flux, install.MakeDefaultOptions().Components, assets)
}

// buildControllerGen builds the program controller-gen from the versions that a go.mod has, unless it did so already.
func buildControllerGen(ctx context.Context, module, programs string) (string, error) {
	program := filepath.Join(programs, filepath.Base(module))
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	command := exec.CommandContext(ctx, "go", "build", "-o", program, "sigs.k8s.io/controller-tools/cmd/controller-gen")
	command.Dir = module
	command.Env = append(os.Environ(), "PWD="+module, "GOWORK=off", "GOFLAGS=-mod=readonly -trimpath", "CGO_ENABLED=0")
	if output, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building controller-gen of %s: %w: %s", module, err, output)
	}
	return program, nil
}
