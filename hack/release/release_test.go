// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	containerregistry "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	. "github.com/onsi/gomega"

	gardencorev1 "github.com/gardener/gardener/pkg/apis/core/v1"
	"github.com/gardener/gardener/pkg/utils/oci"
)

// TestMain goes to the root of the repository, where a release is made.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// sbomTool stands for cyclonedx-gomod, which would want a program that go build has made.
const sbomTool = `#!/bin/sh
while [ $# -gt 1 ]; do
  if [ "$1" = -version ]; then version=$2; fi
  if [ "$1" = -output ]; then output=$2; fi
  shift
done
sum=$(sha256sum "$1" | cut -d " " -f 1)
cat >"$output" <<END
{"bomFormat": "CycloneDX",
 "metadata": {"component": {"version": "$version"}, "tools": [{"name": "cyclonedx-gomod", "hashes": ["of the tool"]}],
              "properties": [{"name": "cdx:gomod:binary:hash:SHA-256", "value": "$sum"}]},
 "components": [{"name": "example.org/module"}]}
END
`

// newRelease returns one whose programs are files of a few bytes, and what it is asked for is for the given registry.
func newRelease(t *testing.T, registry string) *release {
	t.Helper()
	g := NewWithT(t)
	directory := t.TempDir()
	r := &release{
		request:   request{version: "v1.2.3", registry: registry, platforms: strings.Split(defaultPlatforms, ",")},
		commit:    commit{revision: strings.Repeat("0123456789", 4), created: time.Unix(1700000000, 0).UTC()},
		directory: filepath.Join(directory, "dist"),
		contents: contents{
			dependencies: []dependency{{module: "example.org/module", version: "v1.0.0", licences: []string{"MIT"}}},
			licences:     []byte(programName + " v1.2.3 is under the Apache License\n"),
			fluxImages:   []byte("ghcr.io/fluxcd/kustomize-controller:v1.9.4\nghcr.io/fluxcd/source-controller:v1.9.4\n"),
			goVersion:    "go1.26.8",
			previous:     "v1.2.2", changes: []string{"Say *this* of <that>"},
		},
		out: io.Discard,
	}
	r.sbomTool = filepath.Join(directory, "tool")
	g.Expect(os.WriteFile(r.sbomTool, []byte(sbomTool), 0o700)).To(Succeed())
	g.Expect(os.Mkdir(r.directory, 0o755)).To(Succeed())
	for _, name := range r.platforms {
		platform, err := parsePlatform(name)
		g.Expect(err).NotTo(HaveOccurred())
		file := filepath.Join(directory, platform.Architecture)
		g.Expect(os.WriteFile(file, []byte("the program for "+name), 0o700)).To(Succeed())
		r.programs = append(r.programs, program{platform, file})
	}
	return r
}

// writeRelease writes one, and returns its directory.
func writeRelease(t *testing.T, registry string) string {
	t.Helper()
	r := newRelease(t, registry)
	NewWithT(t).Expect(r.write(t.Context())).To(Succeed())
	return r.directory
}

func TestSameReleaseIsMadeAgain(t *testing.T) {
	g := NewWithT(t)
	first, err := os.ReadFile(filepath.Join(writeRelease(t, "registry.example.org/path"), checksumFile))
	g.Expect(err).NotTo(HaveOccurred())
	second, err := os.ReadFile(filepath.Join(writeRelease(t, "registry.example.org/path"), checksumFile))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(second)).To(Equal(string(first)))
}

// What has been copied into another registry keeps its digests.
func TestDigestsDoNotDependOnRegistry(t *testing.T) {
	g := NewWithT(t)
	here, err := readNames(writeRelease(t, "registry.example.org/path"))
	g.Expect(err).NotTo(HaveOccurred())
	there, err := readNames(writeRelease(t, "mirror.example.org:5000"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(there.image.digest).To(Equal(here.image.digest))
	g.Expect(there.chart.digest).To(Equal(here.chart.digest))
	g.Expect(there.chart.repository).To(Equal("mirror.example.org:5000/charts/" + programName))
}

func TestReleaseIsVerified(t *testing.T) {
	g := NewWithT(t)
	var said strings.Builder
	g.Expect(verify(writeRelease(t, "registry.example.org/path"), &said)).To(Succeed())
	g.Expect(said.String()).To(And(ContainSubstring("image for linux/arm64: sha256:"), ContainSubstring("has version v1.2.3, and is complete")))
}

func TestNotesAndDocument(t *testing.T) {
	g := NewWithT(t)
	dist := writeRelease(t, "registry.example.org/path")
	names, err := readNames(dist)
	g.Expect(err).NotTo(HaveOccurred())
	notes, err := os.ReadFile(filepath.Join(dist, notesFile))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(notes)).To(Equal(`# gardener-extension-shoot-flux v1.2.3

Before an upgrade, read [what needs an operator](https://github.com/23technologies/gardener-extension-shoot-flux/blob/v1.2.3/docs/operations/upgrade.md).

| | |
|---|---|
| image | ` + "`" + names.image.String() + "`" + ` |
| chart | ` + "`" + names.chart.String() + "`" + ` |
| commit | ` + "`0123456789012345678901234567890123456789`" + ` |
| compiled with | go1.26.8 |

## Changes since v1.2.2

- Say \*this\* of &lt;that>
`))
	document, err := os.ReadFile(filepath.Join(dist, documentFile))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(document)).To(And(ContainSubstring("# gardener-extension-shoot-flux v1.2.3\n"), ContainSubstring("the image for linux/amd64 and linux/arm64:"),
		Not(ContainSubstring("<no value>"))))
}

// A release that has been changed, or is incomplete, is refused, also by somebody who writes new checksums.
func TestBrokenReleaseIsRefused(t *testing.T) {
	replace := func(file, before, after string) func(string) error {
		return func(dist string) error {
			content, err := os.ReadFile(filepath.Join(dist, file))
			if err != nil {
				return err
			}
			changed := strings.ReplaceAll(string(content), before, after)
			if changed == string(content) {
				return errors.New("nothing was replaced")
			}
			return os.WriteFile(filepath.Join(dist, file), []byte(changed), 0o644)
		}
	}
	remove := func(file string) func(string) error {
		return func(dist string) error { return os.RemoveAll(filepath.Join(dist, file)) }
	}
	cases := map[string]struct {
		spoil   func(dist string) error
		message string
	}{
		"other image":         {replace(registrationFile, "shoot-flux:v1.2.3@sha256:", "shoot-flux:v1.2.4@sha256:"), "but operator-extension.yaml has"},
		"unknown field":       {replace(registrationFile, "ociRepository:", "ociRepositories:"), `unknown field "ociRepositories"`},
		"image without tag":   {replace(registrationFile, "tag: v1.2.3@", "tag: "), "is not like registry/repository:tag@sha256"},
		"no rights":           {remove(gardenDirectory), "garden has no manifests"},
		"foreign layout":      {replace("image/index.json", `"v1.2.3"`, `"v1.2.2"`), "but the manifests name"},
		"superfluous blob":    {addBlob, "nothing refers to sha256:"},
		"missing blob":        {removeBlob, "no such file"},
		"other chart":         {replace(programName+"-v1.2.3.tgz", "\x1f", "\x1e"), "is another chart"},
		"SBOM of another":     {replace("sbom-linux-arm64.cdx.json", `"value": "`, `"value": "0`), "it is for a program with checksum"},
		"module no licence":   {replace("sbom-linux-amd64.cdx.json", `"licenses"`, `"license"`), "component example.org/module has no licence"},
		"image without tag 2": {replace(imagesFile, ":v1.9.4", ""), "has no tag"},
		"document":            {replace(documentFile, "kubectl apply -f garden/", ""), `README.md does not say "kubectl apply -f garden/`},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			g := NewWithT(t)
			dist := writeRelease(t, "registry.example.org/path")
			g.Expect(test.spoil(dist)).To(Succeed())
			g.Expect(verify(dist, io.Discard)).To(MatchError(ContainSubstring(checksumFile)))
			g.Expect(writeChecksums(dist)).To(Succeed())
			g.Expect(verify(dist, io.Discard)).To(MatchError(ContainSubstring(test.message)))
		})
	}
}

func addBlob(dist string) error {
	return os.WriteFile(filepath.Join(dist, imageLayout, "blobs", "sha256", strings.Repeat("a", 64)), nil, 0o644)
}

// removeBlob removes the largest blob of the image.
func removeBlob(dist string) error {
	blobs := filepath.Join(dist, imageLayout, "blobs", "sha256")
	entries, err := os.ReadDir(blobs)
	if err != nil {
		return err
	}
	var largest string
	var size int64
	for _, entry := range entries {
		info, err := entry.Info()
		if err != nil {
			return err
		}
		if info.Size() > size {
			largest, size = entry.Name(), info.Size()
		}
	}
	return os.Remove(filepath.Join(blobs, largest))
}

// newRegistry starts a registry, and returns its name with a path.
func newRegistry(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://") + "/path"
}

// What is pushed is what gardenlet pulls by the name in the registration.
func TestPush(t *testing.T) {
	g := NewWithT(t)
	dist := writeRelease(t, newRegistry(t))
	g.Expect(push(t.Context(), dist, io.Discard)).To(Succeed())
	names, err := readNames(dist)
	g.Expect(err).NotTo(HaveOccurred())

	chart, err := oci.NewHelmRegistry(nil).Pull(t.Context(), &gardencorev1.OCIRepository{Ref: new(names.chart.String())})
	g.Expect(err).NotTo(HaveOccurred())
	packed, err := os.ReadFile(filepath.Join(dist, programName+"-v1.2.3.tgz"))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(chart).To(Equal(packed))

	for _, text := range []string{names.image.String(), names.image.repository + ":v1.2.3"} {
		named, err := name.ParseReference(text)
		g.Expect(err).NotTo(HaveOccurred())
		image, err := remote.Image(named, remote.WithPlatform(containerregistry.Platform{OS: "linux", Architecture: "arm64"}))
		g.Expect(err).NotTo(HaveOccurred())
		config, err := image.ConfigFile()
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(config.Architecture).To(Equal("arm64"))
	}
}

// A version is released once. Pushing the same again repairs a push that was cut.
func TestPushAgain(t *testing.T) {
	g := NewWithT(t)
	registry := newRegistry(t)
	dist := writeRelease(t, registry)
	g.Expect(push(t.Context(), dist, io.Discard)).To(Succeed())
	g.Expect(push(t.Context(), dist, io.Discard)).To(Succeed())

	other := newRelease(t, registry)
	other.created = other.created.Add(time.Second)
	g.Expect(other.write(t.Context())).To(Succeed())
	g.Expect(push(t.Context(), other.directory, io.Discard)).To(MatchError(ContainSubstring("a version is released once")))
}

func TestWrongRequests(t *testing.T) {
	valid := request{version: "v1.2.3", registry: defaultRegistry, platforms: []string{"linux/amd64"}}
	cases := map[string]struct {
		change  func(*request)
		message string
	}{
		"version without v":  {func(r *request) { r.version = "1.2.3" }, `the version is "1.2.3", but must be like v1.2.3`},
		"short version":      {func(r *request) { r.version = "v1.2" }, "must be like v1.2.3"},
		"build metadata":     {func(r *request) { r.version = "v1.2.3+x" }, "must be like v1.2.3"},
		"scheme of registry": {func(r *request) { r.registry = "https://registry.example.org" }, "without a scheme"},
		"no registry":        {func(r *request) { r.registry = "" }, "must be like registry.example.org/path"},
		"platform":           {func(r *request) { r.platforms = []string{"windows/amd64"} }, "releases are for linux/amd64 and linux/arm64"},
	}
	for name, test := range cases {
		t.Run(name, func(t *testing.T) {
			asked := valid
			test.change(&asked)
			NewWithT(t).Expect(asked.check()).To(MatchError(ContainSubstring(test.message)))
		})
	}
	NewWithT(t).Expect(valid.check()).To(Succeed())
}

// A directory that somebody else has made is not removed.
func TestForeignDirectoryStays(t *testing.T) {
	g := NewWithT(t)
	dist := t.TempDir()
	g.Expect(checkReplaceable(dist)).To(Succeed(), "an empty one")
	g.Expect(checkReplaceable(filepath.Join(dist, "none"))).To(Succeed())
	g.Expect(os.WriteFile(filepath.Join(dist, "letters.txt"), nil, 0o600)).To(Succeed())
	g.Expect(checkReplaceable(dist)).To(MatchError(ContainSubstring("it is not a release, and is not replaced")))
	g.Expect(checkReplaceable(writeRelease(t, defaultRegistry))).To(Succeed())
}

func TestCommands(t *testing.T) {
	g := NewWithT(t)
	g.Expect(run(context.Background(), nil, io.Discard)).To(MatchError(usage))
	g.Expect(run(context.Background(), []string{"publish"}, io.Discard)).To(MatchError(ContainSubstring(`unknown command "publish"`)))
	g.Expect(run(context.Background(), []string{"build", "-version", "1"}, io.Discard)).To(MatchError(ContainSubstring(`the version is "1"`)))
	g.Expect(run(context.Background(), []string{"verify", "-dist", t.TempDir()}, io.Discard)).To(MatchError(ContainSubstring(checksumFile)))
}
