// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	distribution "github.com/distribution/reference"
	"golang.org/x/mod/semver"
)

// verification checks a release as somebody would who has nothing else.
type verification struct {
	dist  string
	names artifacts
	out   io.Writer
	// programs are the checksums of the programs in the image, by the name of the file that says what they are made of.
	programs map[string]string
}

// verify shows that a release is complete and fits together.
func verify(dist string, out io.Writer) error {
	v := &verification{dist: dist, out: out, programs: map[string]string{}}
	for _, step := range []struct {
		name string
		do   func() error
	}{
		{checksumFile, v.checkChecksums},
		{"manifests", v.checkManifests},
		{imageLayout, v.checkImage},
		{chartLayout, v.checkChart},
		{"software bills of materials", v.checkSBOMs},
		{imagesFile, v.checkFluxImages},
		{"documents", v.checkDocuments},
	} {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s: %s: %w", dist, step.name, err)
		}
	}
	fmt.Fprintf(out, "%s has version %s, and is complete\n", dist, v.names.image.tag)
	return nil
}

// say prints what has been found.
func (v *verification) say(format string, args ...any) {
	fmt.Fprintf(v.out, format+"\n", args...)
}

func (v *verification) checkChecksums() error {
	count, err := verifyChecksums(v.dist)
	if err == nil {
		v.say("%d files have their checksums", count)
	}
	return err
}

// checkSBOMs shows that each program of the image has its software bill of materials.
func (v *verification) checkSBOMs() error {
	for name, checksum := range v.programs {
		content, err := os.ReadFile(filepath.Join(v.dist, name))
		if err != nil {
			return err
		}
		var bill sbom
		if err := json.Unmarshal(content, &bill); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := bill.check(v.names.image.tag, checksum); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		v.say("%s has %d modules", name, len(bill.Components))
	}
	return nil
}

// check shows that the bill is that of a program.
func (b sbom) check(version, checksum string) error {
	if b.BOMFormat != "CycloneDX" || b.Metadata.Component.Version != version {
		return fmt.Errorf("it is for version %q in format %q, and not for %s in CycloneDX", b.Metadata.Component.Version, b.BOMFormat, version)
	}
	for _, property := range b.Metadata.Properties {
		if property.Name == programChecksum && property.Value != checksum {
			return fmt.Errorf("it is for a program with checksum %s, and the image has one with %s", property.Value, checksum)
		}
	}
	if len(b.Components) == 0 {
		return fmt.Errorf("it has no components")
	}
	for _, component := range b.Components {
		if len(component.Licenses) == 0 {
			return fmt.Errorf("component %s has no licence", component.Name)
		}
	}
	return nil
}

// checkFluxImages shows that a mirror can read the list.
func (v *verification) checkFluxImages() error {
	content, err := os.ReadFile(filepath.Join(v.dist, imagesFile))
	if err != nil {
		return err
	}
	images := strings.Fields(string(content))
	if len(images) == 0 || !slices.IsSorted(images) {
		return fmt.Errorf("it is empty or not sorted")
	}
	for _, image := range images {
		named, err := distribution.ParseNamed(image)
		if err != nil {
			return fmt.Errorf("%q: %w", image, err)
		}
		if distribution.IsNameOnly(named) {
			return fmt.Errorf("%q has no tag", image)
		}
	}
	v.say("%s has %d images", imagesFile, len(images))
	return nil
}

// checkDocuments shows that what people read is about this release.
func (v *verification) checkDocuments() error {
	if !semver.IsValid(v.names.image.tag) {
		return fmt.Errorf("version %q is none", v.names.image.tag)
	}
	for name, words := range map[string][]string{
		documentFile: {v.names.image.String(), v.names.chart.String(), "kubectl apply -f " + gardenDirectory + "/\n", "kubectl apply -f " + registrationFile + "\n"},
		notesFile:    {v.names.image.String(), v.names.chart.String()},
		listFile:     {programName + " " + v.names.image.tag, "Apache License"},
	} {
		content, err := os.ReadFile(filepath.Join(v.dist, name))
		if err != nil {
			return err
		}
		for _, word := range words {
			if !strings.Contains(string(content), word) {
				return fmt.Errorf("%s does not say %q", name, word)
			}
		}
	}
	return nil
}
