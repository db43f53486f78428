// SPDX-FileCopyrightText: gardener-extension-shoot-flux contributors
//
// SPDX-License-Identifier: Apache-2.0

package export

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/fluxcd/flux2/v2/pkg/manifestgen"
	"github.com/fluxcd/flux2/v2/pkg/manifestgen/install"

	"github.com/23technologies/gardener-extension-shoot-flux/pkg/flux"
	"github.com/23technologies/gardener-extension-shoot-flux/pkg/release/failure"
)

// Archive is the name of the archive with the files of which a release is rendered.
const Archive = "manifests.tar.gz"

// Render makes the manifests of a release, of all components that it has files of, from the files of its manifests.tar.gz. The temporary
// files of that go into an existing directory.
//
// It takes some hundred milliseconds and tens of megabytes, and one render waits for another: kustomize allows only one at a time.
func Render(tempDir, version string, files map[string][]byte) ([]byte, error) {
	options := install.MakeDefaultOptions()
	options.Version = version
	// What is not there is missing only if it is one of the default ones.
	options.Components = slices.DeleteFunc(flux.Components(), func(component string) bool {
		_, ok := files[component+".yaml"]
		return !ok && !slices.Contains(flux.DefaultComponents(), component)
	})

	// Kustomize reads what is around its directory too, so this directory gets a private one around it.
	private, err := manifestgen.MkdirTempAbs(tempDir, "flux-manifests-")
	if err != nil {
		return nil, failure.Mark(failure.ErrLocal, fmt.Errorf("rendering needs a writable directory for temporary files: %w", err))
	}
	defer os.RemoveAll(private)
	base := filepath.Join(private, "base")
	if err := writeBase(base, options.Components, files); err != nil {
		return nil, err
	}
	manifests, err := generate(options, base)
	if err == nil {
		err = checkComplete(manifests, Options{}.complete())
	}
	if err != nil {
		return nil, failure.Mark(failure.ErrRefused, err)
	}
	return manifests, nil
}

// writeBase writes only the files that the components need: no other can influence what is rendered.
func writeBase(base string, components []string, files map[string][]byte) error {
	if err := os.Mkdir(base, 0o700); err != nil {
		return failure.Mark(failure.ErrLocal, err)
	}
	for _, name := range append([]string{"rbac", "policies"}, components...) {
		name += ".yaml"
		content, ok := files[name]
		if !ok {
			return failure.New(failure.ErrRefused, fmt.Sprintf("%s has no file %s", Archive, name))
		}
		if err := os.WriteFile(filepath.Join(base, name), content, 0o600); err != nil {
			return failure.Mark(failure.ErrLocal, err)
		}
	}
	return nil
}

// generate turns a panic of kustomize, which it is known for when objects are malformed, into an error.
func generate(options install.Options, base string) (manifests []byte, err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("kustomize panicked on its manifests: %v", cause)
		}
	}()
	manifest, err := install.Generate(options, base)
	if err != nil {
		return nil, fmt.Errorf("its manifests can't be rendered: %w", err)
	}
	return []byte(manifest.Content), nil
}
