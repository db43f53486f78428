// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"

	"golang.org/x/mod/module"
	kustomize "sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/gomod"
)

// Generated makes the assets of a controller whose own Go module can't be had. It implements Assets.
type Generated struct {
	Source *gomod.Source
	// ControllerGen is the path of the program controller-gen.
	ControllerGen string
	// StandIns has the version, by controller, whose Deployment stands in for the controller's own. A controller that
	// is not in it has its own.
	StandIns map[string]string
}

// CRDs generates the definitions from the controller's API module, as the controller's makefile does. They depend on
// nothing else: the types and their comments are in this module, and its go.sum pins the modules that it uses.
func (g Generated) CRDs(ctx context.Context, controller, version string) ([]byte, error) {
	dir, err := g.Source.Directory(ctx, module.Version{Path: "github.com/fluxcd/" + controller + "/api", Version: version})
	if err != nil {
		return nil, err
	}
	work, err := os.MkdirTemp("", "flux-manifests-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(work)
	// The go command takes no directory of the module cache for a main module, in which alone go.mod has effect.
	api, crds := filepath.Join(work, "api"), filepath.Join(work, "crds")
	if err := os.CopyFS(api, os.DirFS(dir)); err != nil {
		return nil, err
	}
	command := exec.CommandContext(ctx, g.ControllerGen, "crd:crdVersions=v1", "paths=./...", "output:crd:artifacts:config="+crds)
	command.Dir = api
	command.Env = append(os.Environ(), "PWD="+api, "GOWORK=off", "GOFLAGS=-mod=readonly")
	if output, err := command.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("controller-gen for %s/api@%s: %w: %s", controller, version, err, output)
	}
	return buildAll(crds)
}

// buildAll builds all files of a directory.
func buildAll(dir string) ([]byte, error) {
	work := filesys.MakeFsInMemory()
	if err := copyTree(work, ".", dir); err != nil {
		return nil, err
	}
	names, err := work.ReadDir(".")
	if err != nil {
		return nil, err
	}
	if err := writeKustomization(work, ".", kustomize.Kustomization{Resources: names}); err != nil {
		return nil, err
	}
	return build(work, ".")
}

// Deployment builds config/manager of the controller's own version, or of the one that stands in for it, with the image
// of the version.
func (g Generated) Deployment(ctx context.Context, controller, version string) ([]byte, error) {
	from, ok := g.StandIns[controller]
	if !ok {
		from = version
	}
	const source = "config/manager"
	work, err := load(ctx, g.Source, gomod.Version("fluxcd/"+controller, from), source)
	if err != nil {
		return nil, err
	}
	if err := retag(work, source, from, version); err != nil {
		return nil, fmt.Errorf("%s@%s: %w", controller, from, err)
	}
	return build(work, source)
}

// retag changes the tag of the image that a kustomization sets.
func retag(work filesys.FileSystem, dir, from, to string) error {
	data, err := work.ReadFile(path.Join(dir, "kustomization.yaml"))
	if err != nil {
		return err
	}
	var kustomization kustomize.Kustomization
	if err := kustomization.Unmarshal(data); err != nil {
		return err
	}
	if len(kustomization.Images) != 1 || kustomization.Images[0].NewTag != from {
		return fmt.Errorf("%s does not set the tag of one image to %s", dir, from)
	}
	kustomization.Images[0].NewTag = to
	return writeKustomization(work, dir, kustomization)
}
