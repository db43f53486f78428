// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"

	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/mod/semver"
)

const (
	// programName is the name of the program, the image and the chart.
	programName = "gardener-extension-shoot-flux"
	// defaultRegistry is where releases are published.
	defaultRegistry = "ghcr.io/23technologies"
	// defaultPlatforms are what releases are for.
	defaultPlatforms = "linux/amd64,linux/arm64"
	// sourceURL is where the code is.
	sourceURL = "https://github.com/23technologies/" + programName

	imageLayout      = "image"
	chartLayout      = "chart"
	registrationFile = "controller-registration.yaml"
	extensionFile    = "operator-extension.yaml"
	gardenDirectory  = "garden"
	checksumFile     = "SHA256SUMS"
)

// request is what is asked for.
type request struct {
	version   string
	registry  string
	dist      string
	platforms []string
	// uncommitted allows a working tree with changes.
	uncommitted bool
}

// release is one that is being made.
type release struct {
	request
	commit
	contents
	// directory is where it is written until it is complete.
	directory string
	// programs are the compiled programs, in the order of the platforms.
	programs []program
	// sbomTool is cyclonedx-gomod.
	sbomTool string
	out      io.Writer
}

// contents are what a release tells about the program and the code.
type contents struct {
	// dependencies are the modules that the programs are made of, licences their licences.
	dependencies []dependency
	licences     []byte
	// fluxImages are the images of the Flux releases that are built in, one a line.
	fluxImages []byte
	goVersion  string
	// previous is the release before, or empty; changes are the subjects of the commits since then.
	previous string
	changes  []string
}

// program is the program for one platform.
type program struct {
	platform containerregistry.Platform
	file     string
}

// check refuses what can't be a release, before something is compiled.
func (r request) check() error {
	// A tag of an image must not have build metadata; Kubernetes' version package panics at what is not a semantic version.
	if !semver.IsValid(r.version) || semver.Canonical(r.version) != r.version {
		return fmt.Errorf("the version is %q, but must be like v1.2.3 or v1.2.3-rc.1", r.version)
	}
	if err := checkRegistry(r.registry); err != nil {
		return err
	}
	for _, name := range r.platforms {
		if _, err := parsePlatform(name); err != nil {
			return err
		}
	}
	return nil
}

// build writes a release into a directory beside dist, and puts it in place of dist once it is complete.
func build(ctx context.Context, asked request, out io.Writer) error {
	if err := asked.check(); err != nil {
		return err
	}
	source, err := readCommit(ctx, asked.uncommitted)
	if err != nil {
		return err
	}
	if err := checkReplaceable(asked.dist); err != nil {
		return err
	}
	work, err := os.MkdirTemp(filepath.Dir(filepath.Clean(asked.dist)), ".release-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)

	r := &release{request: asked, commit: source, directory: filepath.Join(work, "dist"), out: out}
	if err := os.MkdirAll(r.directory, 0o755); err != nil {
		return err
	}
	if err := r.compile(ctx, filepath.Join(work, "bin")); err != nil {
		return err
	}
	if err := r.gather(ctx); err != nil {
		return err
	}
	if err := r.write(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(asked.dist); err != nil {
		return err
	}
	if err := os.Rename(r.directory, asked.dist); err != nil {
		return err
	}
	fmt.Fprintf(out, "%s %s is in %s\n", programName, asked.version, asked.dist)
	return nil
}

// checkReplaceable refuses to remove a directory that is not an earlier release.
func checkReplaceable(dist string) error {
	entries, err := os.ReadDir(dist)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(entries) == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(dist, checksumFile)); err != nil {
		return fmt.Errorf("%s has files, but no %s: it is not a release, and is not replaced; name another directory with -dist", dist, checksumFile)
	}
	return nil
}

// gather reads the contents.
func (r *release) gather(ctx context.Context) error {
	var err error
	if r.dependencies, err = readDependencies(ctx, r.platforms); err != nil {
		return err
	}
	if err := checkLicences(r.dependencies); err != nil {
		return err
	}
	if r.licences, err = licencesText(r.version, r.dependencies); err != nil {
		return err
	}
	if r.fluxImages, err = readFluxImages(ctx); err != nil {
		return fmt.Errorf("listing Flux's images: %w", err)
	}
	goVersion, err := command(ctx, nil, "go", "env", "GOVERSION")
	if err != nil {
		return err
	}
	r.goVersion = strings.TrimSpace(string(goVersion))
	if r.previous, r.changes, err = readChanges(ctx, r.version); err != nil {
		return err
	}
	tool, err := command(ctx, nil, "go", "tool", "-n", "-modfile=hack/tools/release/go.mod", "cyclonedx-gomod")
	r.sbomTool = strings.TrimSpace(string(tool))
	return err
}

// write writes the release, each part by what it needs of those before.
func (r *release) write(ctx context.Context) error {
	image, err := r.writeImage()
	if err != nil {
		return fmt.Errorf("making the image: %w", err)
	}
	chart, err := r.writeChart(image)
	if err != nil {
		return fmt.Errorf("making the chart: %w", err)
	}
	names := artifacts{
		image: reference{path.Join(r.registry, programName), r.version, image.String()},
		chart: reference{path.Join(r.registry, "charts", programName), r.version, chart.String()},
	}
	if err := r.writeManifests(names); err != nil {
		return fmt.Errorf("writing the manifests: %w", err)
	}
	if err := r.writeDocuments(ctx, names); err != nil {
		return err
	}
	fmt.Fprintf(r.out, "image %s\nchart %s\n", names.image, names.chart)
	return writeChecksums(r.directory)
}

// parsePlatform reads a platform such as linux/arm64.
func parsePlatform(name string) (containerregistry.Platform, error) {
	system, architecture, _ := strings.Cut(name, "/")
	if system != "linux" || architecture != "amd64" && architecture != "arm64" {
		return containerregistry.Platform{}, fmt.Errorf("platform %q: releases are for linux/amd64 and linux/arm64", name)
	}
	return containerregistry.Platform{OS: system, Architecture: architecture}, nil
}
