// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

// Package manifests builds the files that a Flux release publishes in its manifests.tar.gz, as the script
// manifests/scripts/bundle.sh of Flux does, from the directory manifests/ of Flux and from what the releases of its
// controllers publish.
package manifests

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"

	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/gomod"
)

// releaseAsset matches what a base of Flux takes from the release page of a controller.
var releaseAsset = regexp.MustCompile(`^https://github\.com/fluxcd/([a-z-]+)/releases/download/(v[^/]+)/([a-z-]+\.(crds|deployment)\.yaml)$`)

// Assets gives what the release of a controller publishes.
type Assets interface {
	// CRDs returns the custom resource definitions of a controller, such as source-controller.
	CRDs(ctx context.Context, controller, version string) ([]byte, error)
	// Deployment returns the Deployment of a controller, and its Services.
	Deployment(ctx context.Context, controller, version string) ([]byte, error)
}

// Release returns the files of a release by name: one for each component, rbac.yaml and policies.yaml. The directory
// is that of Flux's module.
func Release(ctx context.Context, fluxDir string, components []string, assets Assets) (map[string][]byte, error) {
	work := filesys.MakeFsInMemory()
	if err := copyTree(work, "manifests", filepath.Join(fluxDir, "manifests")); err != nil {
		return nil, err
	}
	files := map[string][]byte{}
	for _, component := range components {
		base := path.Join("manifests/bases", component)
		if err := localise(ctx, assets, work, base); err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		var err error
		if files[component+".yaml"], err = build(work, base); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"rbac", "policies"} {
		var err error
		if files[name+".yaml"], err = build(work, path.Join("manifests", name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// localise replaces the release assets that a base refers to by files.
func localise(ctx context.Context, assets Assets, work filesys.FileSystem, base string) error {
	file := path.Join(base, "kustomization.yaml")
	data, err := work.ReadFile(file)
	if err != nil {
		return err
	}
	var kustomization kustomize.Kustomization
	if err := kustomization.Unmarshal(data); err != nil {
		return err
	}
	for i, resource := range kustomization.Resources {
		if !strings.Contains(resource, "://") {
			continue
		}
		match := releaseAsset.FindStringSubmatch(resource)
		if match == nil {
			return fmt.Errorf("don't know which Go module %s comes from", resource)
		}
		controller, version, name := match[1], match[2], match[3]
		get := map[string]func(context.Context, string, string) ([]byte, error){"crds": assets.CRDs, "deployment": assets.Deployment}[match[4]]
		asset, err := get(ctx, controller, version)
		if err != nil {
			return err
		}
		if err := work.WriteFile(path.Join(base, name), asset); err != nil {
			return err
		}
		kustomization.Resources[i] = name
	}
	return writeKustomization(work, base, kustomization)
}

func writeKustomization(work filesys.FileSystem, dir string, kustomization kustomize.Kustomization) error {
	// Old releases use fields that kustomize warns of.
	if err := kustomization.FixKustomizationPreMarshalling(work); err != nil {
		return err
	}
	data, err := yaml.Marshal(kustomization)
	if err != nil {
		return err
	}
	return work.WriteFile(path.Join(dir, "kustomization.yaml"), data)
}

// Modules makes the assets of a controller from its own Go module, as its release does. It implements Assets.
type Modules struct {
	Source *gomod.Source
}

// CRDs builds config/crd of the controller.
func (m Modules) CRDs(ctx context.Context, controller, version string) ([]byte, error) {
	return m.build(ctx, controller, version, "config/crd")
}

// Deployment builds config/manager of the controller.
func (m Modules) Deployment(ctx context.Context, controller, version string) ([]byte, error) {
	return m.build(ctx, controller, version, "config/manager")
}

func (m Modules) build(ctx context.Context, controller, version, source string) ([]byte, error) {
	work, err := load(ctx, m.Source, gomod.Version("fluxcd/"+controller, version), source)
	if err != nil {
		return nil, err
	}
	return build(work, source)
}

// load returns a file system that has one directory of a module.
func load(ctx context.Context, source *gomod.Source, mod module.Version, directory string) (filesys.FileSystem, error) {
	dir, err := source.Directory(ctx, mod)
	if err != nil {
		return nil, err
	}
	work := filesys.MakeFsInMemory()
	return work, copyTree(work, directory, filepath.Join(dir, directory))
}

// build does what the command kustomize build does.
func build(files filesys.FileSystem, dir string) ([]byte, error) {
	options := krusty.MakeDefaultOptions()
	options.Reorder = krusty.ReorderOptionLegacy
	resources, err := krusty.MakeKustomizer(options).Run(files, dir)
	if err != nil {
		return nil, fmt.Errorf("kustomize build %s: %w", dir, err)
	}
	return resources.AsYaml()
}

func copyTree(target filesys.FileSystem, targetDir, sourceDir string) error {
	return filepath.WalkDir(sourceDir, func(name string, entry os.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		relative, err := filepath.Rel(sourceDir, name)
		if err != nil {
			return err
		}
		data, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		return target.WriteFile(path.Join(targetDir, filepath.ToSlash(relative)), data)
	})
}
