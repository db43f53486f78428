// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package manifests

import (
	"context"
	"os"
	"path/filepath"
	"testing"

	. "github.com/onsi/gomega"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/23technologies/gardener-extension-shoot-flux/hack/flux-manifests/internal/gomod"
)

// text gives assets that say what they were asked for.
type text struct{}

func (text) CRDs(_ context.Context, controller, version string) ([]byte, error) {
	return []byte("kind: Definition\napiVersion: v1\nmetadata: {name: " + controller + "." + version + "}\n"), nil
}

func (text) Deployment(_ context.Context, controller, version string) ([]byte, error) {
	return []byte("kind: Program\napiVersion: v1\nmetadata: {name: " + controller + "." + version + "}\n"), nil
}

func TestRelease(t *testing.T) {
	g := NewWithT(t)
	flux := t.TempDir()
	write := func(name, content string) {
		name = filepath.Join(flux, "manifests", name)
		g.Expect(os.MkdirAll(filepath.Dir(name), 0o700)).To(Succeed())
		g.Expect(os.WriteFile(name, []byte(content), 0o600)).To(Succeed())
	}
	for _, controller := range []string{"source-controller", "image-controller"} {
		write("bases/"+controller+"/kustomization.yaml", `resources:
- https://github.com/fluxcd/`+controller+`/releases/download/v1.2.3/`+controller+`.crds.yaml
- https://github.com/fluxcd/`+controller+`/releases/download/v1.2.3/`+controller+`.deployment.yaml
patchesJson6902:
- target: {version: v1, kind: Program, name: `+controller+`.v1.2.3}
  patch: '[{"op": "add", "path": "/spec", "value": {"patched": true}}]'
`)
	}
	for _, name := range []string{"rbac", "policies"} {
		write(name+"/kustomization.yaml", "resources: [object.yaml]\n")
		write(name+"/object.yaml", "kind: Thing\napiVersion: v1\nmetadata: {name: "+name+"}\n")
	}

	files, err := Release(t.Context(), flux, []string{"source-controller"}, text{})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(files).To(HaveLen(3), "what is not installed is not built")
	g.Expect(string(files["source-controller.yaml"])).To(And(ContainSubstring("kind: Definition"), ContainSubstring("kind: Program"),
		ContainSubstring("name: source-controller.v1.2.3"), ContainSubstring("patched: true")))
	g.Expect(string(files["rbac.yaml"])).To(ContainSubstring("name: rbac"))
	g.Expect(string(files["policies.yaml"])).To(ContainSubstring("name: policies"))

	_, err = Release(t.Context(), flux, []string{"source-watcher"}, text{})
	g.Expect(err).To(MatchError(ContainSubstring("manifests/bases/source-watcher")))
}

func TestResourceFromElsewhereIsRefused(t *testing.T) {
	for _, resource := range []string{
		"https://example.org/source-controller.yaml",
		"https://github.com/fluxcd/source-controller/releases/download/v1.9.4/source-controller.other.yaml",
		"https://github.com/fluxcd/source-controller/archive/main.tar.gz",
		"ssh://git@example.org/repository",
	} {
		t.Run(resource, func(t *testing.T) {
			g := NewWithT(t)
			work := filesys.MakeFsInMemory()
			g.Expect(work.WriteFile("base/kustomization.yaml", []byte("resources:\n- "+resource+"\n"))).To(Succeed())
			err := localise(t.Context(), text{}, work, "base")
			g.Expect(err).To(MatchError("don't know which Go module " + resource + " comes from"))
		})
	}
}

// TestMissingModuleIsNamed needs no network: what is no version can't be had from anywhere.
func TestMissingModuleIsNamed(t *testing.T) {
	source := &gomod.Source{PinNew: true, Used: gomod.Sums{}}
	for _, assets := range []Assets{Modules{Source: source}, Generated{Source: source}} {
		_, err := assets.CRDs(t.Context(), "source-controller", "none")
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("go mod download github.com/fluxcd/source-controller")))
		_, err = assets.Deployment(t.Context(), "source-controller", "none")
		NewWithT(t).Expect(err).To(MatchError(ContainSubstring("go mod download github.com/fluxcd/source-controller")))
	}
}

func TestRetag(t *testing.T) {
	g := NewWithT(t)
	work := filesys.MakeFsInMemory()
	g.Expect(work.WriteFile("config/manager/kustomization.yaml", []byte(`resources: [deployment.yaml]
images: [{name: fluxcd/source-controller, newName: fluxcd/source-controller, newTag: v1.7.0}]
`))).To(Succeed())
	g.Expect(work.WriteFile("config/manager/deployment.yaml", []byte(`kind: Deployment
apiVersion: apps/v1
metadata: {name: source-controller}
spec: {template: {spec: {containers: [{name: manager, image: fluxcd/source-controller}]}}}
`))).To(Succeed())

	g.Expect(retag(work, "config/manager", "v1.6.2", "v1.6.2")).To(MatchError("config/manager does not set the tag of one image to v1.6.2"))
	g.Expect(retag(work, "config/manager", "v1.7.0", "v1.6.2")).To(Succeed())
	built, err := build(work, "config/manager")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(built)).To(ContainSubstring("image: fluxcd/source-controller:v1.6.2\n"))
}

// TestGeneratedCRDs uses a module that the extension is compiled with, so it is in the module cache, and a program that
// does what controller-gen does to its environment. The definitions in test/fluxreleases come from the real program.
func TestGeneratedCRDs(t *testing.T) {
	g := NewWithT(t)
	version, err := gomod.RequiredVersion("../../../../go.mod", "github.com/fluxcd/source-controller/api")
	g.Expect(err).NotTo(HaveOccurred())
	program := filepath.Join(t.TempDir(), "controller-gen")
	assets := Generated{Source: &gomod.Source{PinNew: true, Used: gomod.Sums{}}, ControllerGen: program}

	g.Expect(os.WriteFile(program, []byte(`#!/bin/sh -e
grep -q '^module github.com/fluxcd/source-controller/api$' go.mod
[ "$GOFLAGS" = -mod=readonly ]
for argument; do directory="${argument##*config=}"; done
mkdir "$directory"
printf 'apiVersion: v1\nkind: Arguments\nmetadata: {name: arguments}\nvalue: "%s %s"\n' "$1" "$2" >"$directory/a.yaml"
`), 0o700)).To(Succeed())
	definitions, err := assets.CRDs(t.Context(), "source-controller", version)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(definitions)).To(ContainSubstring("value: crd:crdVersions=v1 paths=./..."))

	g.Expect(os.WriteFile(program, []byte("#!/bin/sh\necho 'no such marker' >&2\nexit 1\n"), 0o700)).To(Succeed())
	_, err = assets.CRDs(t.Context(), "source-controller", version)
	g.Expect(err).To(MatchError("controller-gen for source-controller/api@" + version + ": exit status 1: no such marker\n"))
}

func TestBuildAll(t *testing.T) {
	g := NewWithT(t)
	dir := t.TempDir()
	for _, name := range []string{"b", "a"} {
		g.Expect(os.WriteFile(filepath.Join(dir, name+".yaml"), []byte("kind: Thing\napiVersion: v1\nmetadata: {name: "+name+"}\n"), 0o600)).To(Succeed())
	}
	built, err := buildAll(dir)
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(string(built)).To(Equal("apiVersion: v1\nkind: Thing\nmetadata:\n  name: a\n---\napiVersion: v1\nkind: Thing\nmetadata:\n  name: b\n"))
}
