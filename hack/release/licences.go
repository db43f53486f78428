// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/google/licensecheck"
)

// allowedLicences are those that ask for nothing but that their text and notices come along, or, MPL-2.0, that files under it can be had as
// source: Go modules can. Another one is a decision, not a detail.
var allowedLicences = []string{"0BSD", "Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "MPL-2.0", "Unlicense"}

// knownLicences are the licences of modules whose own text is not recognised or names more than the code is under, with the reason.
var knownLicences = map[string][]string{
	// LICENSE.docs (CC-BY-SA-4.0) is for its documentation, which is not compiled.
	"github.com/opencontainers/go-digest": {"Apache-2.0"},
}

var (
	// licenceName is how files are called that have a licence.
	licenceName = regexp.MustCompile(`(?i)^(licen[cs]e|copying|unlicense)([-._].*)?$`)
	// noticeName is how files are called that have what a licence demands to be kept.
	noticeName = regexp.MustCompile(`(?i)^(notice|copyright|patents)([-._].*)?$`)
)

// coverage is how much of a text must be a licence for the text to be one, in percent. pkg.go.dev takes the same.
const coverage = 75

// dependency is a module that the program is made of.
type dependency struct {
	module  string
	version string
	// licences are the SPDX identifiers that the files name.
	licences []string
	// texts are the files by their paths in the module.
	texts map[string][]byte
}

// listedPackage is what go list says about a package.
type listedPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Path, Version, Dir string
		Main               bool
	}
}

// runLicences prints the licences of all that the program is made of, and fails if one is not allowed.
func runLicences(ctx context.Context, platforms []string, out io.Writer) error {
	dependencies, err := readDependencies(ctx, platforms)
	if err != nil {
		return err
	}
	for _, dependency := range dependencies {
		fmt.Fprintf(out, "%s %s %s\n", dependency.module, dependency.version, strings.Join(dependency.licences, ", "))
	}
	return checkLicences(dependencies)
}

// checkLicences returns an error that names each module whose licence is unknown or not allowed.
func checkLicences(dependencies []dependency) error {
	var problems []error
	for _, dependency := range dependencies {
		if len(dependency.licences) == 0 {
			problems = append(problems, fmt.Errorf("%s %s: no licence was recognised: read it, and add it to knownLicences in hack/release/licences.go", dependency.module, dependency.version))
		}
		for _, licence := range dependency.licences {
			if !slices.Contains(allowedLicences, licence) {
				problems = append(problems, fmt.Errorf("%s %s: licence %s is not among allowedLicences in hack/release/licences.go", dependency.module, dependency.version, licence))
			}
		}
	}
	return errors.Join(problems...)
}

// readDependencies reads which modules the program is made of on any of the platforms, sorted, the standard library among them.
func readDependencies(ctx context.Context, platforms []string) ([]dependency, error) {
	found := map[string]*dependency{}
	for _, name := range platforms {
		platform, err := parsePlatform(name)
		if err != nil {
			return nil, err
		}
		output, err := command(ctx, buildEnvironment(platform.OS, platform.Architecture), "go", "list", "-deps", "-json=Dir,Standard,Module", "./cmd/"+programName)
		if err != nil {
			return nil, err
		}
		decoder := json.NewDecoder(bytes.NewReader(output))
		for decoder.More() {
			var listed listedPackage
			if err := decoder.Decode(&listed); err != nil {
				return nil, fmt.Errorf("reading what go list says: %w", err)
			}
			if err := listed.addTo(found); err != nil {
				return nil, err
			}
		}
	}
	standard, err := standardLibrary(ctx)
	if err != nil {
		return nil, err
	}
	dependencies := []dependency{standard}
	for _, key := range slices.Sorted(maps.Keys(found)) {
		dependencies = append(dependencies, *found[key])
	}
	for i := range dependencies {
		dependencies[i].recognise()
	}
	return dependencies, nil
}

// addTo adds the licences that hold for the package: those in its directory and in each one above it, up to its module's.
func (p listedPackage) addTo(found map[string]*dependency) error {
	if p.Standard || p.Module == nil || p.Module.Main {
		return nil
	}
	key := p.Module.Path + "@" + p.Module.Version
	if found[key] == nil {
		found[key] = &dependency{module: p.Module.Path, version: p.Module.Version, texts: map[string][]byte{}}
	}
	for dir := p.Dir; ; dir = filepath.Dir(dir) {
		if err := found[key].addTexts(p.Module.Dir, dir); err != nil {
			return err
		}
		if dir == p.Module.Dir || !strings.HasPrefix(dir, p.Module.Dir) {
			return nil
		}
	}
}

// addTexts adds the files of a directory that have a licence.
func (d *dependency) addTexts(root, dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		isKept := licenceName.MatchString(entry.Name()) || noticeName.MatchString(entry.Name())
		if !isKept || !entry.Type().IsRegular() || strings.HasSuffix(entry.Name(), ".go") {
			continue
		}
		name, err := filepath.Rel(root, filepath.Join(dir, entry.Name()))
		if err != nil {
			return err
		}
		if d.texts[name] != nil {
			continue
		}
		if d.texts[name], err = os.ReadFile(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return nil
}

// recognise sets the licences by the texts.
func (d *dependency) recognise() {
	if known := knownLicences[d.module]; known != nil {
		d.licences = known
		return
	}
	for _, name := range slices.Sorted(maps.Keys(d.texts)) {
		scanned := licensecheck.Scan(d.texts[name])
		if scanned.Percent < coverage || !licenceName.MatchString(path.Base(name)) {
			continue
		}
		for _, match := range scanned.Match {
			d.licences = append(d.licences, match.ID)
		}
	}
	slices.Sort(d.licences)
	d.licences = slices.Compact(d.licences)
}

// standardLibrary is Go itself, a part of each program.
func standardLibrary(ctx context.Context) (dependency, error) {
	output, err := command(ctx, nil, "go", "env", "GOROOT", "GOVERSION")
	if err != nil {
		return dependency{}, err
	}
	root, version, _ := strings.Cut(strings.TrimSpace(string(output)), "\n")
	standard := dependency{module: "std", version: version, texts: map[string][]byte{}}
	if err := standard.addTexts(root, root); err != nil {
		return dependency{}, err
	}
	return standard, nil
}

// licenceFiles are the files of the image that have the licences.
func licenceFiles(text []byte) []file {
	var files []file
	for parent := path.Dir(licencesFile); parent != "."; parent = path.Dir(parent) {
		files = append(files, file{name: parent + "/", mode: 0o755})
	}
	slices.SortFunc(files, func(a, b file) int { return cmp.Compare(a.name, b.name) })
	return append(files, file{name: licencesFile, mode: 0o644, content: text})
}

// licencesText returns the licences of the program and of all that it is made of, as one text.
func licencesText(version string, dependencies []dependency) ([]byte, error) {
	own, err := os.ReadFile("LICENSES/Apache-2.0.txt")
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s is under Apache-2.0, as are the manifests of Flux that it has in it. It is made of:\n\n", programName, version)
	for _, dependency := range dependencies {
		fmt.Fprintf(&text, "%s %s: %s\n", dependency.module, dependency.version, strings.Join(dependency.licences, ", "))
	}
	writeText(&text, programName, own)
	for _, dependency := range dependencies {
		for _, name := range slices.Sorted(maps.Keys(dependency.texts)) {
			writeText(&text, dependency.module+" "+dependency.version+" "+name, dependency.texts[name])
		}
	}
	return text.Bytes(), nil
}

func writeText(target *bytes.Buffer, title string, content []byte) {
	fmt.Fprintf(target, "\n%s\n%s\n\n%s\n", strings.Repeat("=", 100), title, bytes.TrimSpace(content))
}
