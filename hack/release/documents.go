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
	if err := os.WriteFile(filepath.Join(r.directory, listFile), r.licencesText, 0o644); err != nil {
		return err
	}
	images, err := fluxImages(ctx)
	if err != nil {
		return fmt.Errorf("listing Flux's images: %w", err)
	}
	if err := os.WriteFile(filepath.Join(r.directory, imagesFile), images, 0o644); err != nil {
		return err
	}
	for _, program := range r.programs {
		if err := r.writeBillOfMaterials(ctx, program); err != nil {
			return fmt.Errorf("writing the software bill of materials for %s: %w", program.platform, err)
		}
	}
	told, err := r.document(ctx, names)
	if err != nil {
		return err
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

// document collects what the templates can tell.
func (r *release) document(ctx context.Context, names artifacts) (document, error) {
	goVersion, err := command(ctx, nil, "go", "env", "GOVERSION")
	if err != nil {
		return document{}, err
	}
	told := document{
		Version: r.version, Revision: r.revision, Registry: r.registry, Image: names.image.String(), Chart: names.chart.String(),
		Source: sourceURL, Go: strings.TrimSpace(string(goVersion)), Platforms: r.platforms,
	}
	told.Previous, err = previousVersion(ctx, r.version)
	if err != nil || told.Previous == "" {
		return told, err
	}
	log, err := git(ctx, "log", "--no-merges", "--format=%s", told.Previous+"..HEAD")
	if log != "" {
		told.Changes = strings.Split(log, "\n")
	}
	return told, err
}

// previousVersion returns the tag of the release before, or nothing if this is the first one.
func previousVersion(ctx context.Context, version string) (string, error) {
	arguments := []string{"describe", "--tags", "--abbrev=0", "--match=v[0-9]*", "--exclude=" + version}
	// What has changed in a release is what has changed since the last one, and not since its own candidates.
	if !strings.Contains(version, "-") {
		arguments = append(arguments, "--exclude=*-*")
	}
	tags, err := git(ctx, "tag", "--merged=HEAD", "--list", "v[0-9]*")
	if err != nil {
		return "", err
	}
	if !slices.ContainsFunc(strings.Fields(tags), func(tag string) bool {
		return tag != version && (strings.Contains(version, "-") || !strings.Contains(tag, "-"))
	}) {
		return "", nil
	}
	return git(ctx, append(arguments, "HEAD")...)
}

// fluxImages lists the images of all Flux releases that are built in, which a mirror needs.
func fluxImages(ctx context.Context) ([]byte, error) {
	catalogue, err := fluxrelease.NewCatalogue(fluxrelease.Options{})
	if err != nil {
		return nil, err
	}
	defer catalogue.Close()
	var images []string
	for _, version := range catalogue.Embedded() {
		output, err := command(ctx, nil, "go", "run", "./hack/flux-images", "-version", version)
		if err != nil {
			return nil, err
		}
		images = append(images, strings.Fields(string(output))...)
	}
	slices.Sort(images)
	return []byte(strings.Join(slices.Compact(images), "\n") + "\n"), nil
}
