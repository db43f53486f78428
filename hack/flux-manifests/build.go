// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/mod/module"
	"golang.org/x/mod/semver"
	"sigs.k8s.io/kustomize/api/krusty"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// releaseAsset matches what a base of Flux takes from the release page of a controller.
var releaseAsset = regexp.MustCompile(`^https://github\.com/(fluxcd/[a-z-]+)/releases/download/(v[^/]+)/([a-z-]+\.(crds|deployment)\.yaml)$`)

// assetSource tells from which directory of a controller's module its release makes each asset.
var assetSource = map[string]string{"crds": "config/crd", "deployment": "config/manager"}

// buildRelease returns the files of a release's manifests.tar.gz by name.
func buildRelease(ctx context.Context, modules *moduleSource, version string) (map[string][]byte, error) {
	flux, err := modules.directory(ctx, module.Version{Path: fluxModule, Version: version})
	if err != nil {
		return nil, err
	}
	work := filesys.MakeFsInMemory()
	if err := copyTree(work, "manifests", filepath.Join(flux, "manifests")); err != nil {
		return nil, err
	}
	controllers, err := work.ReadDir("manifests/bases")
	if err != nil {
		return nil, err
	}

	files := map[string][]byte{}
	for _, controller := range controllers {
		base := path.Join("manifests/bases", controller)
		if err := localise(ctx, modules, work, base); err != nil {
			return nil, fmt.Errorf("%s: %w", base, err)
		}
		if files[controller+".yaml"], err = build(work, base); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"rbac", "policies"} {
		if files[name+".yaml"], err = build(work, path.Join("manifests", name)); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// localise replaces the release assets that a base refers to by what the controller's module gives.
func localise(ctx context.Context, modules *moduleSource, work filesys.FileSystem, base string) error {
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
		mod := controllerModule(match[1], match[2])
		asset, err := buildAsset(ctx, modules, mod, assetSource[match[4]])
		if err != nil {
			return err
		}
		if err := work.WriteFile(path.Join(base, match[3]), asset); err != nil {
			return err
		}
		kustomization.Resources[i] = match[3]
	}
	if data, err = yaml.Marshal(kustomization); err != nil {
		return err
	}
	return work.WriteFile(file, data)
}

func controllerModule(repository, version string) module.Version {
	mod := module.Version{Path: "github.com/" + repository, Version: version}
	if major := semver.Major(version); major != "v0" && major != "v1" {
		mod.Path += "/" + major
	}
	return mod
}

func buildAsset(ctx context.Context, modules *moduleSource, mod module.Version, source string) ([]byte, error) {
	dir, err := modules.directory(ctx, mod)
	if err != nil {
		return nil, err
	}
	work := filesys.MakeFsInMemory()
	if err := copyTree(work, source, filepath.Join(dir, source)); err != nil {
		return nil, err
	}
	return build(work, source)
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
