// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	_ "embed"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"text/template"

	"golang.org/x/mod/semver"

	fluxrelease "github.com/23technologies/gardener-extension-shoot-flux/pkg/release"
)

const (
	notesFile    = "release-notes.md"
	imagesFile   = "flux-images.txt"
	documentFile = "README.md"
	listFile     = "licences.txt"
)

var (
	//go:embed README.md.tmpl
	documentText string
	//go:embed release-notes.md.tmpl
	notesText string
	// markdown keeps the words of a commit from being read as Markdown or HTML.
	markdown = strings.NewReplacer(`\`, `\\`, "*", `\*`, "_", `\_`, "[", `\[`, "]", `\]`, "<", "&lt;", "`", "\\`", "#", `\#`)
)

// document is what the templates can tell.
type document struct {
	Version, Revision, Registry, Image, Chart, Source, Go string
	Platforms                                             []string
	// Previous is the release before, or empty.
	Previous string
	// Changes are the subjects of the commits since then.
	Changes []string
}

// writeDocuments writes what people and scanners read.
func (r *release) writeDocuments(ctx context.Context, names artifacts) error {
	if err := os.WriteFile(filepath.Join(r.directory, listFile), r.licences, 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.directory, imagesFile), r.fluxImages, 0o644); err != nil {
		return err
	}
	for _, program := range r.programs {
		if err := r.writeBillOfMaterials(ctx, program); err != nil {
			return fmt.Errorf("writing the software bill of materials for %s: %w", program.platform, err)
		}
	}
	told := document{
		Version: r.version, Revision: r.revision, Registry: r.registry, Image: names.image.String(), Chart: names.chart.String(),
		Source: sourceURL, Go: r.goVersion, Platforms: r.platforms, Previous: r.previous, Changes: r.changes,
	}
	for name, text := range map[string]string{documentFile: documentText, notesFile: notesText} {
		if err := writeTemplate(filepath.Join(r.directory, name), text, told); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func writeTemplate(target, text string, told document) error {
	parsed, err := template.New(path.Base(target)).Option("missingkey=error").Funcs(template.FuncMap{"markdown": markdown.Replace}).Parse(text)
	if err != nil {
		return err
	}
	var filled bytes.Buffer
	if err := parsed.Execute(&filled, told); err != nil {
		return err
	}
	return os.WriteFile(target, filled.Bytes(), 0o644)
}

// readChanges returns the tag of the release before, and the subjects of the commits since then.
func readChanges(ctx context.Context, version string) (string, []string, error) {
	previous, err := previousVersion(ctx, version)
	if err != nil || previous == "" {
		return "", nil, err
	}
	log, err := git(ctx, "log", "--no-merges", "--format=%s", previous+"..HEAD")
	if err != nil || log == "" {
		return previous, nil, err
	}
	return previous, strings.Split(log, "\n"), nil
}

// previousVersion returns the tag of the release before, or nothing if this is the first one.
func previousVersion(ctx context.Context, version string) (string, error) {
	tags, err := git(ctx, "tag", "--merged=HEAD", "--list", "v[0-9]*")
	if err != nil {
		return "", err
	}
	previous := ""
	for tag := range strings.FieldsSeq(tags) {
		// What has changed in a release is what has changed since the last one, and not since its own candidates.
		isCandidate := semver.Prerelease(tag) != "" && semver.Prerelease(version) == ""
		if semver.IsValid(tag) && !isCandidate && semver.Compare(tag, version) < 0 && (previous == "" || semver.Compare(tag, previous) > 0) {
			previous = tag
		}
	}
	return previous, nil
}

// readFluxImages lists the images of all Flux releases that are built in, which a mirror needs.
func readFluxImages(ctx context.Context) ([]byte, error) {
	catalogue, err := fluxrelease.NewCatalogue(fluxrelease.Options{})
	if err != nil {
		return nil, err
	}
	defer catalogue.Close()
	var images []string
	for _, version := range catalogue.Embedded() {
		output, err := command(ctx, nil, "go", "run", "./hack/flux-images", "-all", "-version", version)
		if err != nil {
			return nil, err
		}
		images = append(images, strings.Fields(string(output))...)
	}
	slices.Sort(images)
	return []byte(strings.Join(slices.Compact(images), "\n") + "\n"), nil
}
